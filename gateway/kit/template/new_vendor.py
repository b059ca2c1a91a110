"""New Vendor: what its document cannot say. Most vendors need no more than this."""

from pathlib import Path

from gateway.domain.adapter import Adapter

# Hooks, for what a document cannot express: `signing`, `finders`, `evidence`, `simulate`. Each is a pure function whose
# docstring begins with the reason for it. Their types and rules are in gateway/domain/adapter.py.
ADAPTER = Adapter(Path(__file__).with_name("new_vendor.yaml"))
