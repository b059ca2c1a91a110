// The documentation page: Swagger UI, changed so that it sends only what its reader has typed or chosen.
//
// Swagger UI fills fields with examples and defaults of the document, and sends them: a used idempotency key, a note
// that nobody wrote. It also requests the configuration of the token issuer.

const NOTHING = { summary: "Nothing", value: "" };
const NO_MEMBERS = { summary: "Nothing", value: {} };
const METHODS = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

const said = (...sentences) => sentences.filter(Boolean).join("\n\n");

// A name that is a number would come before all others, and so be filled in.
const offer = (values) =>
  Object.fromEntries(values.map((value) => [`value ${value}`, { summary: String(value), value }]));

// A required list starts with its first value selected. So the values are offered beside an empty field instead.
function withEmptyField(resolved, { example, ...parameter }) {
  const { default: usual, enum: values = [], ...schema } = resolved(parameter.schema ?? {});
  const isList = parameter.required ? values.length === 1 : values.length > 0;
  const examples = parameter.examples ?? offer(!isList && values.length ? values : example === undefined ? [] : [example]);
  return {
    ...parameter,
    schema: isList ? { ...schema, enum: values } : schema,
    description: said(parameter.description, usual !== undefined && `Default: \`${usual}\`.`),
    ...(!isList && Object.keys(examples).length && { examples: { nothing: NOTHING, ...examples } }),
  };
}

function withEmptyBody(requestBody) {
  const withNothing = ([type, media]) => [type, { ...media, examples: { nothing: NO_MEMBERS, ...media.examples } }];
  const isJson = ([type]) => type.endsWith("json");
  const content = Object.entries(requestBody.content ?? {}).map((each) => (isJson(each) ? withNothing(each) : each));
  return { ...requestBody, content: Object.fromEntries(content) };
}

// Scopes are not credentials to enter, so they are shown in the description.
function withoutScopes(operation, usual, scheme) {
  const required = operation.security ?? usual;
  const all = (each) => (each[scheme] ?? []).map((scope) => `\`${scope}\``).join(" and ");
  const ways = [...new Set(required.map(all))].filter((each) => each);
  const schemes = required.map(({ [scheme]: _, ...others }) => JSON.stringify(others));
  const noun = ways.length > 1 ? "scope of the requested action:" : ways[0]?.includes(" and ") ? "scopes" : "scope";
  return {
    ...operation,
    security: [...new Set(schemes)].map((each) => JSON.parse(each)),
    description: said(operation.description, ways.length > 0 && `Needs the ${noun} ${ways.join(", ")}.`),
  };
}

function withEmptyFields(document) {
  const { components = {} } = document;
  const schemes = Object.entries(components.securitySchemes ?? {});
  const scopes = schemes.find(([, scheme]) => scheme.type === "openIdConnect")?.[0];
  const at = (reference) => reference.split("/").slice(1).reduce((node, key) => node[key], document);
  const resolved = (node) => (node.$ref ? at(node.$ref) : node);
  const empty = (parameters) => parameters.map((each) => withEmptyField(resolved, resolved(each)));

  const offered = (node) => ({
    ...withoutScopes(node, document.security ?? [], scopes),
    ...(node.parameters && { parameters: empty(node.parameters) }),
    ...(node.requestBody && { requestBody: withEmptyBody(node.requestBody) }),
  });
  const paths = Object.entries(document.paths).map(([path, item]) => {
    const members = Object.entries(item).map(([key, node]) => [
      key,
      METHODS.includes(key) ? offered(node) : key === "parameters" ? empty(node) : node,
    ]);
    return [path, Object.fromEntries(members)];
  });
  return {
    ...document,
    security: undefined,
    paths: Object.fromEntries(paths),
    components: { ...components, securitySchemes: Object.fromEntries(schemes.filter(([name]) => name !== scopes)) },
  };
}

const EmptyFields = {
  statePlugins: {
    spec: { wrapActions: { updateJsonSpec: (original) => (document) => original(withEmptyFields(document)) } },
  },
};

// A button that enters the example of an operation (`x-example`), which works with a new sandbox. It sends nothing.
const ExampleButton = {
  wrapComponents: {
    parameters: (Original, { React, specSelectors, specActions, oas3Actions }) => (props) => {
      const { pathMethod, parameters, tryItOutEnabled, onTryoutClick } = props;
      const example = specSelectors.specJson().getIn(["paths", ...pathMethod, "x-example"])?.toJS();
      const enter = () => {
        if (!tryItOutEnabled) onTryoutClick();
        const { body, ...values } = example;
        for (const parameter of parameters) {
          const value = values[parameter.get("name")];
          if (value !== undefined) specActions.changeParamByIdentity(pathMethod, parameter, value, false);
        }
        if (body) oas3Actions.setRequestBodyValue({ value: JSON.stringify(body, null, 2), pathMethod });
      };
      const button = () =>
        React.createElement("button", { className: "btn example", onClick: enter }, "Enter the example of the sandbox");
      return React.createElement("div", null, example && button(), React.createElement(Original, props));
    },
  },
};

// PREFIX is replaced by the path prefix of a proxy.
const vendor = location.pathname.slice("PREFIX".length).split("/")[2];
SwaggerUIBundle({
  url: "PREFIX/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  persistAuthorization: false,
  validatorUrl: null,
  plugins: [EmptyFields, ExampleButton],
  ...(vendor && { url: `PREFIX/native/${vendor}/openapi.json` }),
});
