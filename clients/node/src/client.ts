/** The gateway's methods over @grpc/grpc-js, with the messages that protoc-gen-es makes. */

import {
  create,
  fromBinary,
  toBinary,
  type DescMessage,
  type DescMethod,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import { Client, Metadata, type CallOptions, type ServiceError } from "@grpc/grpc-js";

import { MusicService } from "../gen/acestep/gateway/v1/music_service_pb.js";
import { MusicError } from "./errors.js";
import type { Access } from "./options.js";

/** gRPC tries again only calls to which nothing was answered yet. */
const RETRIES = {
  methodConfig: [
    {
      name: [{ service: MusicService.typeName }],
      retryPolicy: {
        maxAttempts: 4,
        initialBackoff: "0.1s",
        maxBackoff: "2s",
        backoffMultiplier: 3,
        retryableStatusCodes: ["UNAVAILABLE"],
      },
    },
  ],
};

const CHANNEL_OPTIONS = {
  "grpc.service_config": JSON.stringify(RETRIES),
  "grpc.max_receive_message_length": 16 * 1024 * 1024,
  "grpc.keepalive_time_ms": 30_000,
  "grpc.keepalive_timeout_ms": 10_000,
};

export interface Terms {
  /** Ends the call, and the server's work for it, with DEADLINE_EXCEEDED. */
  timeoutSeconds?: number;
  /** Ends the call, and the server's work for it, with CANCELLED. */
  signal?: AbortSignal;
  metadata?: Record<string, string>;
}

/** Every method throws `MusicError`. */
export class MusicClient {
  readonly #client: Client;
  readonly #access: Access;

  /** Connects at the first call. */
  constructor(access: Access) {
    this.#access = access;
    this.#client = new Client(access.address, access.credentials, CHANNEL_OPTIONS);
  }

  close(): void {
    this.#client.close();
  }

  generate(request: MessageInitShape<typeof MusicService.method.generateMusic.input>, terms: Terms = {}) {
    return this.events(MusicService.method.generateMusic, request, terms);
  }

  capabilities(terms: Terms = {}) {
    return this.answer(MusicService.method.getCapabilities, {}, terms);
  }

  /** The events of a method that streams. Leaving the loop cancels the call. */
  async *events<I extends DescMessage, O extends DescMessage>(
    method: DescMethod & { input: I; output: O },
    request: MessageInitShape<I>,
    terms: Terms = {},
  ): AsyncGenerator<MessageShape<O>, void> {
    const call = this.#client.makeServerStreamRequest(
      path(method),
      (message: MessageShape<I>) => Buffer.from(toBinary(method.input, message)),
      (bytes: Buffer) => fromBinary(method.output, bytes),
      create(method.input, request) as MessageShape<I>,
      this.#metadata(terms),
      options(terms),
    );
    const cancel = () => call.cancel();
    terms.signal?.addEventListener("abort", cancel);
    if (terms.signal?.aborted) cancel();
    try {
      for await (const event of call) yield event as MessageShape<O>;
    } catch (error) {
      throw MusicError.from(error as ServiceError);
    } finally {
      terms.signal?.removeEventListener("abort", cancel);
      call.cancel();
    }
  }

  /** The answer of a method that answers once. */
  answer<I extends DescMessage, O extends DescMessage>(
    method: DescMethod & { input: I; output: O },
    request: MessageInitShape<I>,
    terms: Terms = {},
  ): Promise<MessageShape<O>> {
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        path(method),
        (message: MessageShape<I>) => Buffer.from(toBinary(method.input, message)),
        (bytes: Buffer) => fromBinary(method.output, bytes),
        create(method.input, request) as MessageShape<I>,
        this.#metadata(terms),
        options(terms),
        (error, answer) => (error ? reject(MusicError.from(error)) : resolve(answer as MessageShape<O>)),
      );
    });
  }

  /** The answer to a stream of messages, such as those of an upload. */
  upload<I extends DescMessage, O extends DescMessage>(
    method: DescMethod & { input: I; output: O },
    messages: Iterable<MessageInitShape<I>>,
    terms: Terms = {},
  ): Promise<MessageShape<O>> {
    return new Promise((resolve, reject) => {
      const call = this.#client.makeClientStreamRequest(
        path(method),
        (message: MessageShape<I>) => Buffer.from(toBinary(method.input, message)),
        (bytes: Buffer) => fromBinary(method.output, bytes),
        this.#metadata(terms),
        options(terms),
        (error, answer) => (error ? reject(MusicError.from(error)) : resolve(answer as MessageShape<O>)),
      );
      for (const message of messages) call.write(create(method.input, message) as MessageShape<I>);
      call.end();
    });
  }

  #metadata(terms: Terms): Metadata {
    const metadata = new Metadata();
    if (this.#access.token) metadata.set("authorization", `Bearer ${this.#access.token}`);
    for (const [name, value] of Object.entries(terms.metadata ?? {})) metadata.set(name, value);
    return metadata;
  }
}

function path(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

function options(terms: Terms): CallOptions {
  const seconds = terms.timeoutSeconds;
  return seconds === undefined ? {} : { deadline: new Date(Date.now() + seconds * 1000) };
}
