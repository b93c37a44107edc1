// What Ollama's official client says that the API answers; see openai.ts. Types only, never run.
import type * as Ollama from 'ollama';

/** What only the last piece of a stream has. */
type AtTheEnd =
  | 'context' | 'done_reason' | 'eval_count' | 'eval_duration' | 'load_duration' | 'prompt_eval_count'
  | 'prompt_eval_duration' | 'total_duration';

export interface Answers {
  chatAnswer: Ollama.ChatResponse;
  chatPiece: Omit<Ollama.ChatResponse, AtTheEnd>;
  generateAnswer: Ollama.GenerateResponse;
  generatePiece: Omit<Ollama.GenerateResponse, AtTheEnd>;
  embedAnswer: Ollama.EmbedResponse;
  embeddingsAnswer: Ollama.EmbeddingsResponse;
  /** What is installed says nothing of memory. */
  modelList: { models: Omit<Ollama.ModelResponse, 'expires_at' | 'size_vram'>[] };
  runningList: { models: Omit<Ollama.ModelResponse, 'modified_at'>[] };
  shown: Ollama.ShowResponse;
  version: Ollama.VersionResponse;
  errorBody: Ollama.ErrorResponse;
}
