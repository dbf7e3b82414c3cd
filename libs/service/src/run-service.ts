// The life of a server process: start or say in one line why not, stop once on a signal, and never die in silence.
import { HelpShown, UsageError } from './failures.ts';
import { closeLogger, type Logger } from './logger.ts';

export interface StartContext {
  /** Aborts when a stop is asked for before the start is over; the start may then give up or go on. */
  readonly signal: AbortSignal;
}

export interface RunningService {
  /** Called once. The process exits with 0 when it resolves, with 1 when it rejects. */
  stop(): Promise<void>;
  /** For what goes wrong from now on; flushed before the process exits. */
  logger?: Logger;
}

const NODE_MAJOR_MIN = 24;
const HOLD_MS = 24 * 60 * 60 * 1000;

const ExitCode = { ok: 0, failure: 1, usage: 2 } as const;

/**
 * Runs a service until SIGTERM or SIGINT, and then exits: 0 after a clean stop, 1 on any failure, 2 when it was called wrongly.
 * A second signal ends the process at once. What nobody caught is logged and ends it too: its state can no longer be trusted,
 * and it will start again from its log.
 */
export async function runService(start: (context: StartContext) => Promise<RunningService>): Promise<void> {
  const unfit = nodeProblem(process.versions.node);
  if (unfit !== undefined) return exit(ExitCode.failure, unfit);

  const stopAsked = new AbortController();
  const onSignal = () => {
    if (stopAsked.signal.aborted) process.exit(ExitCode.failure);
    stopAsked.abort();
  };
  process.on('SIGTERM', onSignal).on('SIGINT', onSignal);
  // Node ends a process in which nothing is pending, even one that awaits; this one ends by `process.exit` alone.
  setInterval(() => undefined, HOLD_MS);

  let logger: Logger | undefined;
  let dying = false;
  const die = (what: string) => (error: unknown) => {
    if (dying) return;
    dying = true;
    void exitAfterFailure(what, error, logger);
  };
  process.on('uncaughtException', die('uncaught exception'));
  process.on('unhandledRejection', die('unhandled rejection'));

  let service: RunningService;
  try {
    service = await start({ signal: stopAsked.signal });
  } catch (error) {
    return explainStart(error);
  }
  logger = service.logger;
  await aborted(stopAsked.signal);
  try {
    await service.stop();
  } catch (error) {
    return die('cannot stop cleanly')(error);
  }
  if (logger !== undefined) await closeLogger(logger);
  await exit(ExitCode.ok);
}

/** Why this Node cannot run Strife, if it cannot. */
export function nodeProblem(version: string): string | undefined {
  const major = Number(version.split('.')[0]);
  if (major >= NODE_MAJOR_MIN) return undefined;
  return `Strife needs Node ${NODE_MAJOR_MIN} or newer, and this is Node ${version}; run it through npm, which brings its own`;
}

async function explainStart(error: unknown): Promise<void> {
  if (error instanceof HelpShown) return exit(ExitCode.ok);
  if (error instanceof UsageError) return exit(ExitCode.usage, usageText(error));
  await exit(ExitCode.failure, `cannot start: ${firstLine(error)}`);
}

function usageText({ program, problems }: UsageError): string {
  const heading = `${program}: ${problems.length === 1 ? 'one thing is' : `${problems.length} things are`} wrong with how it was started`;
  return [heading, ...problems.map((problem) => `  ${problem}`), `Run ${program} --help for all options.`].join('\n');
}

async function exitAfterFailure(what: string, error: unknown, logger: Logger | undefined): Promise<void> {
  if (logger !== undefined) {
    logger.error(what, { error });
    await closeLogger(logger);
  }
  await exit(ExitCode.failure, `${what}: ${firstLine(error)}`);
}

/** Exits once the text is written: stderr may be a pipe, which takes its time. */
async function exit(code: number, text?: string): Promise<void> {
  if (text !== undefined) await new Promise((resolve) => process.stderr.write(`${text}\n`, resolve));
  process.exit(code);
}

function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split('\n')[0] ?? '';
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
