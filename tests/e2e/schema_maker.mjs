// Random JSON schemas from a seed, of everything that answers can be held to. Not a test.

/** A generator of numbers in [0, 1) (mulberry32). */
export function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const NAMES = ['name', 'age', 'city', 'tags', 'a', 'ab', 'id', 'größe', 'x"y', 'back\\slash', 'line\nbreak', 'kind of', '', 'total', 'n1'];
const PATTERNS = ['^[a-z]{2,8}$', '^[A-Z][a-z]+( [A-Z][a-z]+)?$', '^\\d{3}-\\d{4}$', '^(red|green|blue)$', 'x', '^a', 'z$',
  '^[^\\s"]{1,10}$', '^\\w{1,12}@\\w{1,12}\\.(com|org)$', '^["\\\\\\n]{1,4}$', '^(?:ab|c)*$', '^.{3}$', '[é-ü]', '^\\u00e9?[\\u{1F600}-\\u{1F60F}]{1,2}$', '^[^a-z]{2}$|^q'];
const FORMATS = ['date', 'time', 'date-time', 'uuid', 'email', 'hostname', 'ipv4', 'ipv6', 'uri'];
const VALUES = ['a', 'b"c', 'd\\e', 'é😀', '', 0, -1, 2.5, 1e21, true, false, null, [1, 'x'], { k: [null], 'q"': 1 }];

export class SchemaMaker {
  /** `short`: no schema with answers beyond some hundred tokens, for models that find no end. */
  constructor(seed, { short = false } = {}) {
    this.random = randomFrom(seed);
    this.short = short;
    this.depthMax = short ? 2 : 3;
  }

  below(n) {
    return Math.floor(this.random() * n);
  }

  chance(p) {
    return this.random() < p;
  }

  one(list) {
    return list[this.below(list.length)];
  }

  some(list, count) {
    const left = [...list];
    return Array.from({ length: Math.min(count, left.length) }, () => left.splice(this.below(left.length), 1)[0]);
  }

  /** A whole schema, perhaps with definitions that lead back to themselves. */
  schema() {
    this.definitions = {};
    const root = this.any(0);
    if (Object.keys(this.definitions).length > 0 && typeof root === 'object') root.$defs = this.definitions;
    return root;
  }

  any(depth) {
    const makers = ['string', 'string', 'integer', 'number', 'boolean', 'values', 'values'];
    if (depth < this.depthMax) makers.push('object', 'object', 'object', 'array', 'array', 'anyOf', 'oneOf', 'allOf', 'types');
    // A small model that has gone three levels down a list goes on until its tokens run out.
    if (depth < this.depthMax && !this.short) makers.push('reference');
    if (depth === 0) makers.push('object', 'object', 'object', 'object', 'array');
    const schema = this[this.one(makers)](depth);
    if (this.chance(0.2)) schema.description = 'words that bind nothing';
    return schema;
  }

  boolean() {
    return this.one([{ type: 'boolean' }, { type: 'null' }, { const: this.one(VALUES) }]);
  }

  values() {
    return { enum: this.some(VALUES, 1 + this.below(5)) };
  }

  types() {
    return { type: this.some(['string', 'integer', 'boolean', 'null'], 2), maxLength: 12 };
  }

  integer() {
    const schema = { type: 'integer' };
    const low = this.below(4000) - 2000;
    if (this.chance(0.6)) schema[this.one(['minimum', 'exclusiveMinimum'])] = low;
    if (this.chance(0.6)) schema[this.one(['maximum', 'exclusiveMaximum'])] = low + 2 + this.below(1 + this.below(3000));
    return schema;
  }

  number() {
    const schema = { type: 'number' };
    const low = Math.round((this.random() * 400 - 200) * 1000) / 1000;
    if (this.chance(0.6)) schema[this.one(['minimum', 'exclusiveMinimum'])] = low;
    if (this.chance(0.6)) {
      const high = Math.round((low + this.one([0.002, 0.5, 1, 300]) * (1 + this.random())) * 1000) / 1000;
      schema[this.one(['maximum', 'exclusiveMaximum'])] = high;
    }
    return schema;
  }

  string() {
    const schema = { type: 'string' };
    const kind = this.below(4);
    if (kind === 0) {
      schema.pattern = this.one(PATTERNS);
      if (!/^\^.*[})]\$$/.test(schema.pattern)) schema.maxLength = 30;
    }
    if (kind === 1) schema.format = this.one(FORMATS);
    if (kind >= 2) schema.maxLength = 10 + this.below(40);
    if (kind >= 2 && this.chance(0.5)) {
      schema.minLength = this.below(4);
      schema.maxLength = schema.minLength + this.below(20);
    }
    return schema;
  }

  array(depth) {
    const schema = { type: 'array' };
    if (this.chance(0.3)) {
      schema.prefixItems = Array.from({ length: 1 + this.below(3) }, () => this.any(depth + 1));
      if (this.chance(0.5)) schema.items = this.chance(0.5) ? false : this.any(depth + 1);
    } else {
      schema.items = this.any(depth + 1);
    }
    const most = schema.items === false ? schema.prefixItems.length : 4;
    schema.maxItems = 1 + this.below(most);
    if (this.chance(0.5)) schema.minItems = this.below(schema.maxItems + 1);
    return schema;
  }

  object(depth) {
    const schema = { type: 'object', properties: {} };
    for (const name of this.some(NAMES, 1 + this.below(5))) {
      schema.properties[name] = this.any(depth + 1);
    }
    schema.required = Object.keys(schema.properties).filter(() => this.chance(0.6));
    if (this.short || this.chance(0.6)) schema.additionalProperties = false;
    else if (this.chance(0.2)) schema.additionalProperties = { type: 'integer', minimum: 0, maximum: 99 };
    return schema;
  }

  anyOf(depth) {
    return { anyOf: Array.from({ length: 2 + this.below(2) }, () => this.any(depth + 1)) };
  }

  oneOf(depth) {
    if (this.chance(0.4)) return { oneOf: [{ type: 'integer' }, { type: 'string', maxLength: 10 }, { type: 'null' }] };
    return {
      oneOf: ['first', 'second', 'third'].slice(0, 2 + this.below(2)).map((kind) => ({
        type: 'object',
        properties: { kind: { const: kind }, [this.one(NAMES)]: this.any(depth + 1) },
        required: ['kind'],
        additionalProperties: false,
      })),
    };
  }

  allOf(depth) {
    const base = this.object(depth);
    delete base.additionalProperties;
    return {
      allOf: [base, { properties: { more: this.any(depth + 1), both: { type: 'integer', minimum: 3 } }, required: ['more'] },
        { properties: { both: { maximum: 30 } } }],
    };
  }

  /** A list or a tree that holds itself. */
  reference(depth) {
    const name = this.one(['node', 'tree~/x']);
    if (!this.definitions[name]) {
      this.definitions[name] = {};
      const itself = { $ref: `#/$defs/${name.replace('~', '~0').replace('/', '~1')}` };
      this.definitions[name] = {
        type: 'object',
        properties: { value: this.any(depth + 2), next: name === 'node' ? { anyOf: [{ type: 'null' }, itself] } : { type: 'array', items: itself, maxItems: 2 } },
        required: ['next'],
        additionalProperties: false,
      };
    }
    return { $ref: `#/$defs/${name.replace('~', '~0').replace('/', '~1')}` };
  }
}
