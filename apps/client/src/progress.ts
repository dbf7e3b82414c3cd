// How far long work has come: a bar on a terminal, a quiet line elsewhere.

import type { Output } from './output.ts';

export interface Progress {
  /** One step is done; what it has to say is said now, or, while a bar is shown, at the end. */
  step(say: () => void): void;
  end(): void;
}

/** `total` steps are expected; more or fewer do no harm. */
export async function startProgress(output: Output, total: number, what: string): Promise<Progress> {
  if (!process.stderr.isTTY || !output.isTalkative) {
    output.message(`${what} ...`);
    return { step: (say) => say(), end: () => undefined };
  }
  const { SingleBar, Presets } = await import('cli-progress');
  const bar = new SingleBar({ format: `${what} {bar} {value}/{total}`, stream: process.stderr, clearOnComplete: true, barsize: 20, linewrap: true }, Presets.shades_classic);
  const sayings: (() => void)[] = [];
  bar.start(total, 0);
  return {
    step(say) {
      bar.increment();
      sayings.push(say);
    },
    end() {
      bar.stop();
      for (const say of sayings) say();
    },
  };
}
