// What OpenAI's official client says that the API answers. Its types are made from the published
// specification; tests/e2e/published_types.mjs makes JSON schemas of them. Types only, never run.
import type * as Transcriptions from 'openai/resources/audio/transcriptions';
import type * as Translations from 'openai/resources/audio/translations';
import type * as Chat from 'openai/resources/chat/completions/completions';
import type * as Completions from 'openai/resources/completions';
import type * as Embeddings from 'openai/resources/embeddings';
import type * as Images from 'openai/resources/images';
import type * as Models from 'openai/resources/models';
import type * as InputItems from 'openai/resources/responses/input-items';
import type { InputTokenCountResponse } from 'openai/resources/responses/input-tokens';
import type * as Responses from 'openai/resources/responses/responses';
import type { ErrorObject } from 'openai/resources/shared';

export interface Answers {
  chatAnswer: Chat.ChatCompletion;
  chatChunk: Chat.ChatCompletionChunk;
  completion: Completions.Completion;
  responseAnswer: Responses.Response;
  responseEvent: Responses.ResponseStreamEvent;
  inputTokens: InputTokenCountResponse;
  responseItems: InputItems.ResponseItemList;
  embeddingAnswer: Embeddings.CreateEmbeddingResponse;
  model: Models.Model;
  transcription: Transcriptions.Transcription;
  transcriptionVerbose: Transcriptions.TranscriptionVerbose;
  transcriptionEvent: Transcriptions.TranscriptionStreamEvent;
  translation: Translations.Translation;
  translationVerbose: Translations.TranslationVerbose;
  pictures: Images.ImagesResponse;
  pictureEvent: Images.ImageGenStreamEvent;
  editEvent: Images.ImageEditStreamEvent;
  errorBody: { error: ErrorObject };
}
