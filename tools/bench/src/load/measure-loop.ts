// The loop that every load runs in: workers that repeat a step, or arrivals at a fixed rate; a warm-up, then a measured window.

export interface StepResult {
  /** Payments, reads or whatever is counted, that succeeded. */
  readonly done: number;
  /** Those that did not, by class. */
  readonly failures?: Readonly<Record<string, number>>;
}

/** What a load counted inside its measured window. */
export interface LoopResult {
  /** A step that overlaps the window counts by the share of its time that lies inside: long steps make no jumps. */
  readonly count: number;
  readonly seconds: number;
  /** One for each step that overlaps the window: what every item of it waited. Of arrivals, since they were due. */
  readonly latenciesMs: Float64Array;
  readonly failures: Readonly<Record<string, number>>;
}

export interface Window {
  readonly warmupMs: number;
  readonly seconds: number;
  /** The warm-up is over and counting begins. */
  readonly onMeasuring: () => void;
  /** Counting is over; steps may still be under way. */
  readonly onMeasured: () => void;
}

export interface Steps {
  /** How many steps run at once, each worker one after the other. With `perSecond`, the names that arrivals take in turn. */
  readonly workers: number;
  /** Arrivals a second, whether the ones before have ended or not. Without it, a worker begins its next step when one ends. */
  readonly perSecond?: number | undefined;
  /** Rejects only when going on makes no sense. */
  readonly step: (worker: number) => Promise<StepResult>;
}

const ARRIVALS_EVERY_MS = 2;

/** Runs the steps through warm-up and window, and returns when the last one has ended. */
export async function measureLoop(window: Window, { workers, perSecond, step }: Steps): Promise<LoopResult> {
  const latencies: number[] = [];
  const failures: Record<string, number> = {};
  let count = 0;
  const startAt = performance.now() + window.warmupMs;
  const endAt = startAt + window.seconds * 1000;
  let broken = false;

  async function once(worker: number, dueAt: number): Promise<void> {
    const { done, failures: failed = {} } = await step(worker);
    const now = performance.now();
    const inside = Math.min(now, endAt) - Math.max(dueAt, startAt);
    if (inside < 0) return;
    count += now === dueAt ? done : (done * inside) / (now - dueAt);
    latencies.push(now - dueAt);
    for (const [name, times] of Object.entries(failed)) failures[name] = (failures[name] ?? 0) + times;
  }

  async function repeat(worker: number): Promise<void> {
    while (performance.now() < endAt && !broken) await once(worker, performance.now());
  }

  const timers: NodeJS.Timeout[] = [];
  const bells = [[window.warmupMs, window.onMeasuring], [window.warmupMs + window.seconds * 1000, window.onMeasured]] as const;
  // The last step may end before the bell that ends the window has rung.
  const rung = bells.map(([afterMs, ring]) => new Promise<void>((resolve) => {
    timers.push(setTimeout(() => {
      ring();
      resolve();
    }, afterMs));
  }));
  try {
    if (perSecond === undefined) await Promise.all(Array.from({ length: workers }, (_, worker) => repeat(worker)));
    else await arrive(perSecond, endAt, (index, dueAt) => once(index % workers, dueAt));
    await Promise.all(rung);
  } catch (error) {
    broken = true;
    timers.forEach(clearTimeout);
    throw error;
  }
  return { count, seconds: window.seconds, latenciesMs: Float64Array.from(latencies), failures };
}

function arrive(perSecond: number, endAt: number, once: (index: number, dueAt: number) => Promise<void>): Promise<void> {
  const startAt = performance.now();
  const underWay: Promise<void>[] = [];
  return new Promise((resolve, reject) => {
    const timer = setInterval(() => {
      const now = performance.now();
      for (let dueAt = startAt + (underWay.length * 1000) / perSecond; dueAt <= Math.min(now, endAt); dueAt += 1000 / perSecond) {
        const arrival = once(underWay.length, dueAt);
        arrival.catch(reject);
        underWay.push(arrival);
      }
      if (now < endAt) return;
      clearInterval(timer);
      Promise.all(underWay).then(() => resolve(), reject);
    }, ARRIVALS_EVERY_MS);
  });
}
