#!/bin/sh
# Makes the certificates of this folder anew, with OpenSSL 3. The tests themselves need no openssl.
# They are good for nothing but these tests: the keys are published, and only these tests trust the authority.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
touch "$work/index.txt"

cat > "$work/openssl.cnf" <<SETTINGS
[req]
distinguished_name = name
prompt = no
[name]
CN = replaced
[ca]
default_ca = authority
[authority]
database = $work/index.txt
new_certs_dir = $work
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
[is_authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[for_vendor]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = DNS:vendor.test
[for_other]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = DNS:other.test
SETTINGS

# certificate FILE NAME EXTENSIONS FIRST_DAY LAST_DAY SIGN_WITH...
certificate() {
    file=$1 name=$2 extensions=$3 first=$4 last=$5
    shift 5
    openssl req -new -config "$work/openssl.cnf" -subj "/CN=$name" -newkey ec -pkeyopt ec_paramgen_curve:P-256 \
        -noenc -keyout "$work/$file.key" -out "$work/$file.csr" 2>/dev/null
    openssl ca -batch -notext -config "$work/openssl.cnf" -extensions "$extensions" -startdate "$first" -enddate "$last" \
        -in "$work/$file.csr" -out "$work/$file.crt" "$@" 2>/dev/null
    cat "$work/$file.key" "$work/$file.crt" > "$file.pem"
}

since=20200101000000Z until=21200101000000Z
certificate authority "Jobgate's fault tests" is_authority $since $until -selfsign -keyfile "$work/authority.key"
by_authority="-cert $work/authority.crt -keyfile $work/authority.key"
# shellcheck disable=SC2086 # they are several words
certificate good vendor.test for_vendor $since $until $by_authority
# shellcheck disable=SC2086
certificate expired vendor.test for_vendor $since 20210101000000Z $by_authority
# shellcheck disable=SC2086
certificate wrong-host other.test for_other $since $until $by_authority
certificate self-signed vendor.test for_vendor $since $until -selfsign -keyfile "$work/self-signed.key"
# Nothing is signed with the authority any more.
cp "$work/authority.crt" authority.pem
