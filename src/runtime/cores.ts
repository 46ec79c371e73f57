/** How many threads a matrix product can use on this machine. */
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/** What an operating system says of its processors. */
export interface ProcessorFacts {
  /** Processors that this process may run on. */
  readonly available: number;
  /** For each processor, the list of those on the same core, as Linux writes it: `0,32`. Empty where unknown. */
  readonly siblings: readonly string[];
  /** The text of `cpu.max` of the control group, as in `150000 100000`, or `max 100000`. Undefined where there is none. */
  readonly quota: string | undefined;
}

/**
 * The smallest of: physical cores, processors that this process may use, and its processor quota, rounded up. Two
 * threads on one core only wait for each other's multipliers. Where the cores are not known (any system but Linux)
 * every available processor counts.
 */
export function usableCores({ available, siblings, quota }: ProcessorFacts): number {
  const physical = siblings.length > 0 ? new Set(siblings).size : available;
  const [limit, period] = (quota ?? '').split(/\s+/).map(Number);
  const allowed = limit! > 0 && period! > 0 ? Math.ceil(limit! / period!) : available;
  return Math.max(1, Math.min(physical, available, allowed));
}

/** Reads what Linux says; elsewhere only the number of available processors is known. */
export function readProcessorFacts(): ProcessorFacts {
  const processors = '/sys/devices/system/cpu';
  const folders = attempt(() => readdirSync(processors)) ?? [];
  const siblings = folders
    .filter((folder) => /^cpu\d+$/.test(folder))
    .map((folder) =>
      attempt(() => readFileSync(`${processors}/${folder}/topology/thread_siblings_list`, 'utf8').trim()),
    )
    .filter((list) => list !== undefined);
  return {
    available: availableParallelism(),
    siblings,
    quota: attempt(() => readFileSync('/sys/fs/cgroup/cpu.max', 'utf8').trim()),
  };
}

/** These files are absent on other systems and in some containers, which is no error. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
