// Why a program does not start, as errors that become one clear line (or one list) and an exit code.

/** The world is not as the program needs it: a file, a port, a lock, a full disk. Exit 1. */
export class StartupError extends Error {
  override name = 'StartupError';
}

/** The program was called wrongly. `problems` lists everything that is wrong. Exit 2. */
export class UsageError extends Error {
  override name = 'UsageError';
  readonly program: string;
  readonly problems: readonly string[];

  constructor(program: string, problems: readonly string[]) {
    super(`${program}: ${problems.join('; ')}`);
    this.program = program;
    this.problems = problems;
  }
}

/** `--help` was asked for and printed. Exit 0. */
export class HelpShown extends Error {
  override name = 'HelpShown';
}
