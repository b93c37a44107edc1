// What Anthropic's official client says that the API answers; see openai.ts. Types only, never run.
import type * as Messages from '@anthropic-ai/sdk/resources/messages/messages';
import type { ModelInfo } from '@anthropic-ai/sdk/resources/models';
import type { ErrorResponse } from '@anthropic-ai/sdk/resources/shared';

export interface Answers {
  messageAnswer: Messages.Message;
  messageEvent: Messages.RawMessageStreamEvent;
  tokensCount: Messages.MessageTokensCount;
  model: ModelInfo;
  errorBody: ErrorResponse;
}
