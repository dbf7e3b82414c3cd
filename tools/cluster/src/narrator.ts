// Tells a walk-through: one line per step, with a check mark once it is done.

export interface Narrator {
  /** Runs a step and prints its line; the function returns what there is to see. A failure is printed and thrown on. */
  step<T>(title: string, run: () => Promise<Told<T>>): Promise<T>;
}

/** What a step came to: a few words for the line, and a value for the steps after it. */
export interface Told<T> {
  readonly words: string;
  readonly value: T;
}

/** The step that failed, with its reason as the cause. */
export class StepError extends Error {
  constructor(title: string, cause: unknown) {
    super(`${title}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.name = 'StepError';
  }
}

export function narrator(print: (line: string) => void): Narrator {
  return {
    async step(title, run) {
      try {
        const { words, value } = await run();
        print(`✓ ${title}${words === '' ? '' : `: ${words}`}`);
        return value;
      } catch (error) {
        print(`✗ ${title}`);
        throw new StepError(title, error);
      }
    },
  };
}

/** For steps whose value nobody needs. */
export function told(words: string): Told<undefined> {
  return { words, value: undefined };
}
