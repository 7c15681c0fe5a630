/** Paths into JSON documents, and what may be said of the values there. */

import { isDeepStrictEqual } from "node:util";

import type { JsonValue } from "@bufbuild/protobuf";

export type Json = JsonValue | undefined;
export type Conditions = { [path: string]: JsonValue };

/** A case that says nothing: a bad path, an unknown operator, a request that does not parse. */
export class BrokenCase extends Error {}

const STEP = /([A-Za-z_]\w*)|\[(\d+|\*)\]|(\.)/y;
const ZEROS: JsonValue[] = [0, "", false, [], {}];

/** What of `expected` does not hold in `document`, in words. */
export function complaints(document: Json, expected: Conditions): string[] {
  const found: string[] = [];
  for (const [path, condition] of Object.entries(expected)) {
    const value = lookup(document, path);
    const operators = isObject(condition) ? condition : { equals: condition };
    for (const [name, given] of Object.entries(operators)) {
      const holds = OPERATORS[name];
      if (!holds) throw new BrokenCase(`${path}: ${name} is no operator`);
      const operand = name === "same_as" ? lookup(document, String(given)) : given;
      if (!holds(value, operand)) {
        found.push(
          `${path}: expected ${name.replaceAll("_", " ")} ${text(operand)}, received ${text(value)}`,
        );
      }
    }
  }
  return found;
}

/** The value at `path`; with `[*]` in it, a list of all values that there are. */
export function lookup(document: Json, path: string): Json {
  let found: Json[] = [document];
  for (const step of steps(path)) found = found.flatMap((parent) => children(parent, step));
  return path.includes("[*]") ? (found as JsonValue[]) : found[0];
}

function steps(path: string): (string | number)[] {
  const found: (string | number)[] = [];
  STEP.lastIndex = 0;
  for (let end = 0; end < path.length; end = STEP.lastIndex) {
    const match = STEP.exec(path);
    if (!match) throw new BrokenCase(`${path} is no path`);
    if (match[1] !== undefined) found.push(match[1]);
    if (match[2] !== undefined) found.push(match[2] === "*" ? "*" : Number(match[2]));
  }
  return found;
}

function children(parent: Json, step: string | number): Json[] {
  if (step === "*") return Array.isArray(parent) ? parent : [];
  if (typeof step === "number") return Array.isArray(parent) ? parent.slice(step, step + 1) : [];
  return isObject(parent) && step in parent ? [parent[step]] : [];
}

/** JSON equality; an absent value equals zero, empty and false. */
function equal(value: Json, operand: Json): boolean {
  if (value !== undefined) return isDeepStrictEqual(value, operand);
  return operand === undefined || ZEROS.some((zero) => isDeepStrictEqual(operand, zero));
}

/** 64-bit integers are strings in protobuf JSON, and zero may be absent. */
const number = (value: Json) => Number(value ?? 0);
const list = (value: Json) => (Array.isArray(value) ? value : []);
const sorted = (value: Json) => list(value).map(text).sort();

function pattern(operand: Json): RegExp {
  try {
    return new RegExp(String(operand));
  } catch {
    throw new BrokenCase(`${text(operand)} is no regular expression`);
  }
}

const OPERATORS: { [name: string]: (value: Json, operand: Json) => boolean } = {
  equals: equal,
  differs: (value, operand) => !equal(value, operand),
  same_as: equal,
  present: (value, operand) =>
    (value !== undefined && !(Array.isArray(value) && value.length === 0)) === operand,
  at_least: (value, operand) => number(value) >= number(operand),
  at_most: (value, operand) => number(value) <= number(operand),
  matches: (value, operand) => typeof (value ?? "") === "string" && pattern(operand).test(String(value ?? "")),
  length: (value, operand) => list(value).length === operand,
  contains: (value, operand) => list(value).some((item) => isDeepStrictEqual(item, operand)),
  same_members: (value, operand) => isDeepStrictEqual(sorted(value), sorted(operand)),
  begins_with: (value, operand) => isDeepStrictEqual(list(value).slice(0, list(operand).length), operand),
  ends_with: (value, operand) => isDeepStrictEqual(list(value).slice(-list(operand).length), operand),
  never_falls: (value, operand) =>
    list(value).every((item, place, all) => place === 0 || number(item) >= number(all[place - 1])) ===
    operand,
};

export function isObject(value: Json): value is { [name: string]: JsonValue } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function text(value: Json): string {
  return value === undefined ? "nothing" : JSON.stringify(value);
}
