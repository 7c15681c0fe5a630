/** The cases as they are on disk; the format is in conformance/README.md. */

import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

import type { JsonValue } from "@bufbuild/protobuf";

import { BrokenCase, isObject, lookup, type Conditions } from "./conditions.js";

export interface Step {
  method: string;
  request?: JsonValue;
  requests?: JsonValue[];
  metadata?: Record<string, string>;
  deadline_seconds?: number;
  cancel_at?: JsonValue;
  within_seconds?: number;
  save?: string;
  expect: Conditions;
}

export interface Case {
  subject: string;
  name: string;
  requires?: Conditions;
  steps: Step[];
}

export type Variables = { [name: string]: JsonValue };

const FOLDER = fileURLToPath(new URL("../../../../../conformance/cases/", import.meta.url));
const VARIABLE = /\$\{([^}]+)\}/g;

export function load(): Case[] {
  const files = readdirSync(FOLDER).filter((name) => name.endsWith(".json"));
  return files.sort().flatMap((name) => {
    const { cases } = JSON.parse(readFileSync(join(FOLDER, name), "utf8")) as { cases: Case[] };
    return cases.map((each) => ({ ...each, subject: basename(name, ".json") }));
  });
}

/** A copy with every `${...}` replaced by what it names. */
export function filled<Value extends JsonValue | undefined>(value: Value, variables: Variables): Value {
  return replaced(value, variables) as Value;
}

function replaced(value: JsonValue | undefined, variables: Variables): JsonValue | undefined {
  if (Array.isArray(value)) return value.map((item) => filled(item, variables));
  if (isObject(value)) {
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, filled(item, variables)]));
  }
  if (typeof value !== "string") return value;
  const [first] = value.matchAll(VARIABLE);
  if (first?.[0] === value) return named(first[1]!, variables);
  return value.replace(VARIABLE, (_, name: string) => String(named(name, variables)));
}

function named(name: string, variables: Variables): JsonValue {
  if (name.startsWith("file:")) return readFileSync(join(FOLDER, name.slice("file:".length)), "base64");
  const found = lookup(variables, name);
  if (found === undefined) throw new BrokenCase(`\${${name}} names nothing`);
  return found;
}
