/** Make one call of a case, and write down what came as a JSON document. */

import { createHash, type Hash } from "node:crypto";

import {
  fromJson,
  isMessage,
  toJson,
  type DescMessage,
  type DescMethod,
  type JsonValue,
  type Message,
  type MessageInitShape,
} from "@bufbuild/protobuf";

import {
  GenerateMusicResponseSchema,
  MusicService,
  type AudioChunk,
  type GenerateMusicResponse,
} from "../../gen/acestep/gateway/v1/music_service_pb.js";
import type { MusicClient, Terms } from "../client.js";
import { MusicError } from "../errors.js";
import type { Step } from "./cases.js";
import { BrokenCase, isObject } from "./conditions.js";

type Document = { [name: string]: JsonValue };
type AnyMethod = DescMethod & { input: DescMessage; output: DescMessage };
type AnyInit = MessageInitShape<DescMessage>;

/** What came of `step`, whose variables are filled in. */
export async function made(client: MusicClient, step: Step, terms: Terms): Promise<Document> {
  const method: AnyMethod | undefined = MusicService.methods.find(({ name }) => name === step.method);
  if (!method) throw new BrokenCase(`${step.method} is no method`);
  const sent = (step.requests ?? [step.request ?? {}]).map((json) => message(method, json));
  const document: Document = { code: "OK" };
  try {
    if (method.methodKind === "server_streaming") {
      const stop = new AbortController();
      const events = client.events(method, sent[0]!, { ...terms, signal: stop.signal });
      await writeEvents(document, method.output, events, (event) => {
        if (step.cancel_at !== undefined && has(event, step.cancel_at)) stop.abort();
      });
    } else if (method.methodKind === "client_streaming") {
      document["response"] = asJson(method.output, await client.upload(method, sent, terms));
    } else {
      document["response"] = asJson(method.output, await client.answer(method, sent[0]!, terms));
    }
  } catch (error) {
    if (!(error instanceof MusicError)) throw error;
    document["code"] = error.code;
    document["error"] = {
      message: error.message,
      reason: error.reason,
      facts: error.facts,
      violations: error.violations.map((violation) => ({ ...violation })),
      ...(error.retryAfterSeconds === undefined ? {} : { retry_after_seconds: error.retryAfterSeconds }),
    };
  }
  return document;
}

function message(method: AnyMethod, json: JsonValue): AnyInit {
  try {
    return fromJson(method.input, json);
  } catch (error) {
    throw new BrokenCase(`${method.input.name}: ${error instanceof Error ? error.message : error}`);
  }
}

/** Adds to `document` as events come, so that it tells how far a call got that failed. */
async function writeEvents(
  document: Document,
  schema: DescMessage,
  responses: AsyncIterable<Message>,
  seen: (event: Document) => void,
): Promise<void> {
  const order: string[] = [];
  const files = new Files();
  Object.assign(document, { order, files: files.told });
  for await (const response of responses) {
    if (isMessage(response, GenerateMusicResponseSchema)) files.take(response);
    const event = asJson(schema, response);
    const [told] = Object.entries(event);
    if (!told) continue; // an event of later contracts
    const [name, written] = told;
    document[name] = [...((document[name] as JsonValue[] | undefined) ?? []), written];
    if (order.at(-1) !== name) order.push(name);
    seen(event);
  }
}

/** The files put together from `audio` events; their bytes are told by length and digest. */
class Files {
  readonly told: { song_index: number; byte_count: string; in_order: boolean; sha256: string }[] = [];
  readonly #digests = new Map<number, Hash>();

  take({ event }: GenerateMusicResponse): void {
    if (event.case === "audio") this.#add(event.value);
    if (event.case === "liveAudio" && event.value.chunk) event.value.chunk.samples = new Uint8Array();
  }

  #add(chunk: AudioChunk): void {
    let file = this.told.find(({ song_index }) => song_index === chunk.songIndex);
    if (!file) {
      file = { song_index: chunk.songIndex, byte_count: "0", in_order: true, sha256: "" };
      this.told.push(file);
      this.#digests.set(chunk.songIndex, createHash("sha256"));
    }
    const digest = this.#digests.get(chunk.songIndex)!.update(chunk.data);
    file.in_order &&= chunk.offsetBytes === BigInt(file.byte_count);
    file.byte_count = String(Number(file.byte_count) + chunk.data.length);
    file.sha256 = digest.copy().digest("hex");
    chunk.data = new Uint8Array();
  }
}

/** Whether `event` has every value of `wanted`, whatever else it has. */
function has(event: JsonValue | undefined, wanted: JsonValue): boolean {
  if (!isObject(wanted)) return event === wanted;
  return isObject(event) && Object.entries(wanted).every(([name, value]) => has(event[name], value));
}

function asJson(schema: DescMessage, value: Message): Document {
  return toJson(schema, value, { useProtoFieldName: true }) as Document;
}
