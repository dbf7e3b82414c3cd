// Work that must not overlap with itself: what many events ask for, and what is asked for one after the other.

/**
 * Returns a function that asks for the work: it starts when none runs, else once more after the run under way, however
 * often it was asked for meanwhile. What the work throws is not caught, so it ends the process.
 */
export function oneAtATime(work: () => Promise<void>): () => void {
  let isRunning = false;
  let isAskedAgain = false;
  const run = async () => {
    isRunning = true;
    try {
      do {
        isAskedAgain = false;
        await work();
      } while (isAskedAgain);
    } finally {
      isRunning = false;
    }
  };
  return () => {
    if (isRunning) isAskedAgain = true;
    else void run();
  };
}

/** Returns a function that runs one piece of work after the other, in the order in which they were asked for, whether or not those before succeeded. */
export function createTurns(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const turn = last.then(work);
    last = turn.catch(() => {});
    return turn;
  };
}
