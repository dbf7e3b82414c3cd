// Work that many events ask for, and that must not overlap with itself.

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
