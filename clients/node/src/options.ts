/** The command line of the examples: where the gateway is, and how it is reached. */

import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";

import { credentials, type ChannelCredentials } from "@grpc/grpc-js";

export const ACCESS = {
  address: { type: "string" },
  timeout: { type: "string" },
  tls: { type: "boolean" },
  "tls-ca": { type: "string" },
  "tls-certificate": { type: "string" },
  "tls-key": { type: "string" },
} as const;

export interface Access {
  address: string;
  credentials: ChannelCredentials;
  token: string;
  timeoutSeconds?: number;
}

type AccessValues = { [name in keyof typeof ACCESS]?: string | boolean };

/** Throws if a file of TLS cannot be read, or if half a pair is given. */
export function access(values: AccessValues): Access {
  const file = (name: keyof AccessValues) => {
    const path = values[name];
    return typeof path === "string" ? readFileSync(path) : null;
  };
  const ca = file("tls-ca");
  const key = file("tls-key");
  const certificate = file("tls-certificate");
  if ((key === null) !== (certificate === null)) {
    throw new Error("a certificate and its key must be given together");
  }
  const secure = values.tls === true || ca !== null || certificate !== null || key !== null;
  return {
    address: String(values.address ?? process.env["ACESTEP_ADDRESS"] ?? "localhost:50050"),
    credentials: secure ? credentials.createSsl(ca, key, certificate) : credentials.createInsecure(),
    token: process.env["ACESTEP_TOKEN"] ?? "",
    timeoutSeconds: optionalNumber("timeout", values.timeout),
  };
}

/** Exits with 2, as for every mistake on the command line. */
export function parsed<Options extends NonNullable<Parameters<typeof parseArgs>[0]>["options"]>(
  usage: string,
  options: Options,
) {
  try {
    return parseArgs({ options, strict: true }).values;
  } catch (error) {
    refuse(`${error instanceof Error ? error.message : error}\n${usage}`);
  }
}

function refuse(complaint: string): never {
  console.error(complaint);
  process.exit(2);
}

export function optionalNumber(name: string, text: string | boolean | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isFinite(value)) refuse(`--${name}: ${text} is not a number`);
  return value;
}

/** Of 64 bits, which a `number` cannot hold. */
export function optionalInteger(name: string, text: string | undefined): bigint | undefined {
  if (text === undefined) return undefined;
  if (!/^-?\d+$/.test(text)) refuse(`--${name}: ${text} is not a number`);
  return BigInt(text);
}
