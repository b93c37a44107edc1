// JSON schemas of what the official clients' types say, made anew in each run: those types come from
// the published specifications. Not a test.
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';

import Ajv from 'ajv';
import addFormats from 'ajv-formats';
import { createGenerator } from 'ts-json-schema-generator';

const FOLDER = fileURLToPath(new URL('published/', import.meta.url));
const ROOT = '#/definitions/Answers/properties/';

/** Whether a schema is of objects that say by `type` which they are. */
const tagOf = (schema) => (schema?.required?.includes('type') ? schema.properties.type.const : undefined);

export class PublishedTypes {
  /** `api`: a file of published/. `loosen` may change the definitions: each change needs its reason. */
  constructor(api, loosen = () => {}) {
    this.api = api;
    this.schema = createGenerator({
      path: `${FOLDER}${api}.ts`,
      tsconfig: `${FOLDER}tsconfig.json`,
      type: 'Answers',
      skipTypeCheck: true,
      additionalProperties: true, // what we say beyond is no error
      jsDoc: 'none',
      encodeRefs: false,
    }).createSchema('Answers');
    this.definitions = this.schema.definitions;
    loosen(this.definitions, this.definitions.Answers.properties);
    this.#distinguish(this.schema);
    this.ajv = new Ajv({ strict: false, discriminator: true, allErrors: true, validateFormats: true });
    addFormats(this.ajv);
    this.ajv.addSchema({ ...this.schema, $id: api });
  }

  resolved(schema) {
    while (schema?.$ref) {
      schema = this.definitions[schema.$ref.slice('#/definitions/'.length)];
    }
    return schema;
  }

  /** Unions whose members have a `type` each are judged by that member alone: errors say what is wrong with it. */
  #distinguish(schema) {
    if (schema === null || typeof schema !== 'object') return;
    for (const inner of Object.values(schema)) this.#distinguish(inner);
    if (!Array.isArray(schema.anyOf)) return;
    const flat = this.#flat(schema);
    const tags = flat.map((one) => tagOf(this.resolved(one)));
    if (tags.includes(undefined) || new Set(tags).size < tags.length) return;
    delete schema.anyOf;
    Object.assign(schema, { type: 'object', required: ['type'], discriminator: { propertyName: 'type' }, oneOf: flat });
  }

  #flat(schema) {
    return schema.anyOf.flatMap((one) => {
      const target = this.resolved(one);
      return target.anyOf ? this.#flat(target) : target.oneOf ?? [one];
    });
  }

  /** What is wrong with `value` as one of `kind`; nothing when it is right. */
  errorsOf(kind, value) {
    assert.ok(this.definitions.Answers.properties[kind], `${this.api} has no ${kind}`);
    const valid = this.ajv.getSchema(`${this.api}${ROOT}${kind}`);
    return valid(value) ? [] : valid.errors.map((error) =>
      `${error.instancePath || '/'} ${error.message} ${JSON.stringify(error.params)}`);
  }

  check(kind, value) {
    const errors = this.errorsOf(kind, value);
    assert.ok(errors.length === 0, `${this.api} ${kind}: ${errors.join('\n')}\n${JSON.stringify(value).slice(0, 2000)}`);
    return value;
  }

  /** The paths in `value` that its type demands, with the type of each. */
  demanded(kind, value) {
    const found = [];
    const walk = (schema, at, path) => {
      schema = this.resolved(schema);
      if (schema?.oneOf) schema = this.resolved(schema.oneOf.find((one) => tagOf(this.resolved(one)) === at?.type));
      if (!schema || at === null || typeof at !== 'object') return;
      if (Array.isArray(at)) {
        at.slice(0, 2).forEach((one, i) => walk(schema.items, one, [...path, i]));
        return;
      }
      for (const [name, inner] of Object.entries(schema.properties ?? {})) {
        if (!(name in at)) continue;
        if (schema.required?.includes(name)) found.push([...path, name]);
        walk(inner, at[name], [...path, name]);
      }
    };
    walk(this.definitions.Answers.properties[kind], value, []);
    return found;
  }
}

/** A copy of `value` with what is at `path` replaced; left out when `by` is undefined. */
export function changed(value, path, by) {
  const copy = structuredClone(value);
  const last = path.at(-1);
  const parent = path.slice(0, -1).reduce((at, key) => at[key], copy);
  if (by === undefined) delete parent[last];
  else parent[last] = by;
  return copy;
}
