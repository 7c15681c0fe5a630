/** Make a song, show how far it is, and write its file. Ctrl-C cancels it at the server too. */

import { createHash, randomUUID } from "node:crypto";
import { writeFileSync } from "node:fs";

import {
  Phase,
  type GenerateMusicResponse,
  type Progress,
  type Song,
} from "../gen/acestep/gateway/v1/music_service_pb.js";
import { MusicClient } from "./client.js";
import { MusicError } from "./errors.js";
import { ACCESS, access, optionalInteger, optionalNumber, parsed } from "./options.js";

const USAGE = `usage: generate --caption TEXT [--lyrics TEXT] [--duration SECONDS] [--seed NUMBER]
    [--output FILE] [--cancel-after SECONDS] [--timeout SECONDS] [--address HOST:PORT]
    [--tls] [--tls-ca FILE] [--tls-certificate FILE --tls-key FILE]
ACESTEP_ADDRESS and ACESTEP_TOKEN are read from the environment.`;

const CANCELLED = 130;

class SongFile {
  #chunks: Uint8Array[] = [];

  /** The finished song, when `event` completes it. Throws if it failed or arrived damaged. */
  add({ event }: GenerateMusicResponse): Song | undefined {
    if (event.case === "audioStart") this.#chunks = [];
    if (event.case === "audio") this.#chunks.push(event.value.data);
    if (event.case !== "song") return undefined;
    if (event.value.error) throw new Error(event.value.error.message);
    const digest = createHash("sha256").update(this.bytes()).digest("hex");
    if (digest !== event.value.audioSha256) throw new Error("the song arrived damaged");
    return event.value;
  }

  bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }
}

/** A line whenever the phase or the percentage changes. */
function progressPrinter(): (progress: Progress) => void {
  let last = "";
  return ({ phase, stepCount, totalStepCount, fraction }) => {
    const head = `${(fraction * 100).toFixed(0).padStart(3)} %  ${Phase[phase]?.toLowerCase() ?? "working"}`;
    if (head !== last)
      console.error(totalStepCount === undefined ? head : `${head} ${stepCount}/${totalStepCount}`);
    last = head;
  };
}

async function main(): Promise<number> {
  const values = parsed(USAGE, {
    ...ACCESS,
    caption: { type: "string" },
    lyrics: { type: "string" },
    duration: { type: "string" },
    seed: { type: "string" },
    output: { type: "string" },
    "cancel-after": { type: "string" },
  });
  const reach = access(values);
  const cancelAfter = optionalNumber("cancel-after", values["cancel-after"]);
  const duration = optionalNumber("duration", values.duration);
  const seed = optionalInteger("seed", values.seed);
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort());
  let timer: NodeJS.Timeout | undefined;

  const client = new MusicClient(reach);
  const file = new SongFile();
  const printProgress = progressPrinter();
  let written = false;
  try {
    const request = {
      requestId: randomUUID(), // by which the server knows a request that is sent again
      caption: values.caption ?? "",
      lyrics: values.lyrics ?? "",
      durationSeconds: duration,
      batch: seed === undefined ? undefined : { seeds: [seed] },
    };
    for await (const response of client.generate(request, { ...reach, signal: stop.signal })) {
      if (response.event.case === "accepted" && cancelAfter !== undefined) {
        timer = setTimeout(() => stop.abort(), cancelAfter * 1000);
      }
      if (response.event.case === "progress") printProgress(response.event.value);
      const song = file.add(response);
      if (song === undefined) continue;
      const path = values.output ?? "song.flac";
      writeFileSync(path, file.bytes());
      written = true;
      console.log(`${path}: ${song.actualDurationSeconds} s, seed ${song.seeds?.ditSeed}`);
    }
    if (!written) throw new Error("no song came");
    return 0;
  } catch (error) {
    if (!(error instanceof MusicError)) throw error;
    const cancelled = stop.signal.aborted && error.code === "CANCELLED";
    console.error(cancelled ? "cancelled" : error.lines().join("\n"));
    return cancelled ? CANCELLED : 1;
  } finally {
    clearTimeout(timer);
    client.close();
  }
}

process.exitCode = await main().catch((error: Error) => {
  console.error(error.message); // of a file that cannot be read, most often
  return 1;
});
