/** Replay the conformance cases against a deployment; exit code 1 if it fails one. */

import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";

import { MusicClient, type Terms } from "./client.js";
import { filled, load, type Case, type Step, type Variables } from "./conformance/cases.js";
import { made } from "./conformance/calls.js";
import { BrokenCase, complaints } from "./conformance/conditions.js";
import { ACCESS, access, parsed } from "./options.js";

const USAGE = `usage: conformance [--only TEXT] [--address HOST:PORT] [--timeout SECONDS]
    [--tls] [--tls-ca FILE] [--tls-certificate FILE --tls-key FILE]`;
const TIMEOUT_SECONDS = 300;
const PAUSE_MS = 200;

type Outcome = ["passed" | "failed" | "skipped", string[]];

class Deployment {
  constructor(
    private readonly client: MusicClient,
    private readonly known: Variables,
    private readonly timeoutSeconds: number,
  ) {}

  async replayed({ requires = {}, steps }: Case): Promise<Outcome> {
    const variables = { ...this.known, unique: randomUUID().replaceAll("-", "") };
    try {
      const missing = complaints(variables, requires);
      if (missing.length) return ["skipped", missing];
      for (const [place, step] of steps.entries()) {
        const unmet = await this.#unmet(step, variables);
        if (unmet.length)
          return ["failed", unmet.map((each) => `step ${place + 1}, ${step.method}: ${each}`)];
      }
      return ["passed", []];
    } catch (error) {
      if (!(error instanceof BrokenCase)) throw error;
      return ["failed", [`the case is broken: ${error.message}`]];
    }
  }

  /** What did not hold. Adds to `variables` what the step saves. */
  async #unmet(step: Step, variables: Variables): Promise<string[]> {
    const until = Date.now() + (step.within_seconds ?? 0) * 1000;
    const terms: Terms = {
      timeoutSeconds: step.deadline_seconds ?? this.timeoutSeconds,
      metadata: filled(step.metadata, variables),
    };
    for (;;) {
      const call = {
        ...step,
        request: filled(step.request, variables),
        requests: filled(step.requests, variables),
      };
      const document = await made(this.client, call, terms);
      if (step.save) variables[step.save] = document;
      const unmet = complaints(document, filled(step.expect, variables));
      if (!unmet.length || Date.now() >= until) return unmet;
      await pause(PAUSE_MS);
    }
  }
}

async function main(): Promise<number> {
  const values = parsed(USAGE, { ...ACCESS, only: { type: "string" } });
  const reach = access(values);
  const timeoutSeconds = reach.timeoutSeconds ?? TIMEOUT_SECONDS;
  const client = new MusicClient(reach);
  const counts = { passed: 0, failed: 0, skipped: 0 };
  try {
    const asked = await made(client, { method: "GetCapabilities", expect: {} }, { timeoutSeconds });
    const capabilities = asked["response"];
    if (capabilities === undefined) throw new Error(`${reach.address}: ${asked["code"]}`);
    const deployment = new Deployment(client, { capabilities, token: reach.token !== "" }, timeoutSeconds);
    for (const each of load()) {
      const title = `${each.subject}: ${each.name}`;
      if (!title.includes(values.only ?? "")) continue;
      const [result, notes] = await deployment.replayed(each);
      counts[result] += 1;
      console.log([`${result.padEnd(7)}  ${title}`, ...notes].join(`\n${" ".repeat(9)}`));
    }
  } finally {
    client.close();
  }
  console.log(
    `${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped at ${reach.address}`,
  );
  return counts.failed ? 1 : 0;
}

process.exitCode = await main().catch((error: Error) => {
  console.error(error.message);
  return 1;
});
