// A request in the shape in which Claude Code 2.1 sends its first turn: fields, headers, blocks and
// sizes as recorded; the texts are ours. Not a test.

const paragraph = (topic, bytes) => `${topic}. `.repeat(Math.ceil(bytes / (topic.length + 2))).slice(0, bytes);

/** A tool with a schema of about `bytes`. */
const tool = (name, bytes, properties, fields = {}) => ({
  name,
  description: paragraph(`What ${name} is for and how it is used`, bytes),
  input_schema: {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    properties,
    required: Object.keys(properties).slice(0, 1),
    additionalProperties: false,
  },
  ...fields,
});

const text = { type: 'string', description: paragraph('A text of some length', 120) };
const number = { type: 'integer', minimum: 0, exclusiveMaximum: 9007199254740991 };

export const TOOLS = [
  tool('Agent', 3000, { description: text, prompt: text, subagent_type: text, model: { type: 'string', enum: ['a', 'b'] } }),
  tool('Bash', 6000, { command: text, timeout: number, run_in_background: { type: 'boolean' } }),
  tool('Edit', 1500, { file_path: text, old_string: text, new_string: text, replace_all: { default: false, type: 'boolean' } }),
  tool('Glob', 600, { pattern: text, path: text }),
  tool('Grep', 1800, { pattern: text, output_mode: { type: 'string', enum: ['content', 'count'] }, '-A': number }),
  tool('NotebookEdit', 900, { notebook_path: text, cell_type: { enum: ['code', 'markdown'], type: 'string' } }),
  tool('Read', 1800, { file_path: text, offset: number, limit: number, pages: text }),
  tool('Skill', 1200, { skill: text, args: text }),
  tool('TaskCreate', 2000, { tasks: { type: 'array', items: { type: 'object', properties: { subject: text, status: text }, required: ['subject'] } } }),
  tool('TaskStop', 400, { task_id: text, shell_id: text }),
  tool('ToolSearch', 2500, { query: text, max_results: { default: 5, type: 'number' } }),
  tool('WebFetch', 1500, { url: { type: 'string', format: 'uri' }, prompt: text }),
  tool('Workflow', 4000, { script: text, args: { description: 'Anything.' }, tags: { anyOf: [{ type: 'string' }, { type: 'null' }] } }),
  tool('Placeholder', 100, {}, { defer_loading: true }),
  tool('Write', 700, { file_path: text, content: text }),
];

const cached = { cache_control: { type: 'ephemeral' } };

export const HEADERS = {
  accept: 'application/json',
  'content-type': 'application/json',
  'user-agent': 'claude-cli/2.1.332 (external, sdk-cli)',
  'x-stainless-lang': 'js',
  'x-stainless-package-version': '0.128.0',
  'x-stainless-retry-count': '0',
  'x-stainless-timeout': '600',
  'anthropic-beta':
    'claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,' +
    'mid-conversation-tool-changes-2026-07-01,advanced-tool-use-2025-11-20,effort-2025-11-24',
  'anthropic-dangerous-direct-browser-access': 'true',
  'anthropic-version': '2023-06-01',
  'x-api-key': 'local',
  'x-app': 'cli',
};

/** `user` is what the person typed; `turns` follow its message. */
export const request = (model, user, turns = []) => ({
  model,
  messages: [
    {
      role: 'user',
      content: [
        { type: 'text', text: `<system-reminder>\n${paragraph('How to sign commits', 500)}\n</system-reminder>` },
        { type: 'text', text: user },
      ],
    },
    {
      role: 'system',
      content: [{ type: 'text', text: paragraph('# Environment: Linux, bash, a folder under git', 9000), ...cached }],
      output_config: { effort: 'medium' },
    },
    ...turns,
  ],
  system: [
    { type: 'text', text: 'x-anthropic-billing-header: cc_version=2.1.332.1c9; cc_entrypoint=sdk-cli;' },
    { type: 'text', text: 'You are an agent.', ...cached },
    { type: 'text', text: `\n${paragraph('You work towards the goals of your user', 7000)}`, ...cached },
  ],
  tools: TOOLS,
  metadata: { user_id: JSON.stringify({ device_id: 'f'.repeat(64), account_uuid: '', session_id: '75c18f76' }) },
  max_tokens: 128000,
  thinking: { type: 'adaptive', display: 'omitted' },
  context_management: { edits: [{ type: 'clear_thinking_20251015', keep: 'all' }] },
  output_config: { effort: 'medium' },
  stream: true,
});
