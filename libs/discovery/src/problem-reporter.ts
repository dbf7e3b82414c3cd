// Tells of problems when they begin or change, not each time they are met.

import type { RegistryProblem } from './registry.ts';

/** Reports a problem when it begins or changes; undefined says that there is none any more, which is told too where there are words for it. */
export function createOnceReporter(
  where: string,
  onProblem: (problem: RegistryProblem) => void,
  recovery?: string,
): (message: string | undefined) => void {
  let reported: string | undefined;
  return (message) => {
    if (message !== undefined && message !== reported) onProblem({ where, message });
    if (message === undefined && reported !== undefined && recovery !== undefined) onProblem({ where, message: recovery, recovered: true });
    reported = message;
  };
}

/** Takes all problems that there are now, by where they are, and reports those that begin or change; one that comes back is reported again. */
export function createProblemReporter(onProblem: (problem: RegistryProblem) => void): (problems: ReadonlyMap<string, string>) => void {
  let reported: ReadonlyMap<string, string> = new Map();
  return (problems) => {
    for (const [where, message] of problems) if (reported.get(where) !== message) onProblem({ where, message });
    reported = problems;
  };
}
