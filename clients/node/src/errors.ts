/** What a failed call tells, read from its `google.rpc.Status`. */

import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { status, type ServiceError } from "@grpc/grpc-js";

import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "../gen/google/rpc/status_pb.js";

export interface FieldViolation {
  /** Path from the request message, such as `diffusion.shift`. */
  field: string;
  /** The rule, and what was received. */
  description: string;
}

export class MusicError extends Error {
  /** Name of the status code. */
  readonly code: string;
  /** Stable name that programs may branch on; empty if the server gave none. */
  reason = "";
  /** The values that the message mentions. */
  facts: Record<string, string> = {};
  violations: FieldViolation[] = [];
  /** When the same request may succeed. */
  retryAfterSeconds?: number;

  constructor(code: string, message: string) {
    super(message);
    this.name = "MusicError";
    this.code = code;
  }

  static from(failed: ServiceError): MusicError {
    const error = new MusicError(status[failed.code] ?? "UNKNOWN", failed.details ?? failed.message);
    const [trailer] = failed.metadata?.get("grpc-status-details-bin") ?? [];
    try {
      if (trailer instanceof Buffer) error.#read(trailer);
    } catch {
      // of a proxy that speaks otherwise; code and message are known anyway
    }
    return error;
  }

  /** All that there is to say, a line each. */
  lines(): string[] {
    const lines = [`${this.code}${this.reason && ` (${this.reason})`}: ${this.message}`];
    for (const { field, description } of this.violations) lines.push(`  ${field}: ${description}`);
    if (this.retryAfterSeconds !== undefined) lines.push(`  retry in ${this.retryAfterSeconds} s`);
    return lines;
  }

  #read(trailer: Buffer): void {
    for (const detail of fromBinary(StatusSchema, trailer).details) {
      const info = anyUnpack(detail, ErrorInfoSchema);
      if (info) [this.reason, this.facts] = [info.reason, info.metadata];
      const bad = anyUnpack(detail, BadRequestSchema);
      if (bad)
        this.violations = bad.fieldViolations.map(({ field, description }) => ({ field, description }));
      const delay = anyUnpack(detail, RetryInfoSchema)?.retryDelay;
      if (delay) this.retryAfterSeconds = Number(delay.seconds) + delay.nanos / 1e9;
    }
  }
}
