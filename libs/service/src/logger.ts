// Logs: JSON lines in a file, and a readable form on a terminal. Secrets are dropped by name, and by shape in free text.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import winston from 'winston';
import Transport from 'winston-transport';
import { StartupError } from './failures.ts';
import { Gathered } from './gathered.ts';
import { writeLine, type Entry } from './log-line.ts';
import { RotatingFile } from './rotating-file.ts';

export type Logger = winston.Logger;
export type LogLevel = 'error' | 'warn' | 'info' | 'debug';

export interface LoggerOptions {
  /** Such as `gateway-g1`: names the file and stands in every line. */
  service: string;
  directory: string;
  level: LogLevel;
  /** Whether to write the readable form on stdout too. */
  terminal: boolean;
}

const FILE_BYTES_MAX = 64 * 1024 * 1024;
const FILES_MAX = 5;

/**
 * A logger that writes `<directory>/<service>.log`; when that grows over 64 MiB it becomes `.log.1`, and four of those are kept.
 *
 * Losing log lines never stops a payment: when the file can no longer be written, that is said once on stderr. A disk that
 * hangs does, since lines are written in the event loop's thread: keep logs on a local one. They are made and written together, up to 5 ms
 * after they were logged, so that no answer waits for them: what is logged must not change any more.
 *
 * @throws StartupError when the file cannot be opened for writing.
 */
export function createLogger({ service, directory, level, terminal }: LoggerOptions): Logger {
  const path = join(directory, `${service}.log`);
  const file = openFile(directory, path, service);
  const colour = terminal ? colourful(process.stdout) : undefined;
  const gathered = new Gathered<Entry>((entries) => {
    let json = '';
    let readable = '';
    for (const entry of entries) {
      const line = writeLine(entry, colour);
      json += line.json;
      readable += line.readable;
    }
    file.write(json);
    if (terminal) process.stdout.write(readable);
  });
  // One transport for both places: winston hands a line to each of its transports in a copy, through a stream of its own.
  const transport = new Transport({
    log(info: Info, next) {
      gathered.add({ atMs: Date.now(), level: info.level, service: info.service, message: info.message, fields: () => info });
      next();
    },
  });
  const logger = winston.createLogger({ level, defaultMeta: { service }, format: asIs, transports: [transport] });
  // Only lines after the end can fail here, and those are lost by contract.
  logger.on('error', () => undefined);
  logger.once('finish', () => {
    straightWays.delete(logger);
    gathered.close();
    file.close();
  });
  const writer = (lineLevel: LogLevel): WriteLine => (message, fields) => gathered.add({ atMs: Date.now(), level: lineLevel, service, message, fields });
  straightWays.set(logger, { error: writer('error'), warn: writer('warn'), info: writer('info'), debug: writer('debug') });
  return logger;
}

/** @param fields Called once, when the line is made: what they are made of must not change any more. None is named `level`, `service`, `message` or `timestamp`. */
type WriteLine = (message: string, fields: Entry['fields']) => void;

/**
 * For the lines of calls: logs as `logger.log` does, but straight to where the transport puts its lines, past winston's copies and streams, which cost as
 * much as making and writing the line. Undefined when the level is not enabled.
 */
export function lineWriter(logger: Logger, level: LogLevel): WriteLine | undefined {
  const writers = straightWays.get(logger);
  // The transport has no level of its own.
  if (writers !== undefined) return logger.levels[level]! <= logger.levels[logger.level]! ? writers[level] : undefined;
  return logger.isLevelEnabled(level) ? (message, fields) => logger.log(level, message, fields()) : undefined;
}

/** Of the loggers that were made here and are not closed. */
const straightWays = new WeakMap<Logger, Readonly<Record<LogLevel, WriteLine>>>();

interface Info extends Record<string, unknown> {
  readonly level: string;
  readonly service: string;
  readonly message: unknown;
}

/** Resolves when everything logged so far is in the file. What is logged afterwards is lost. Repeating it waits for the same end. */
export function closeLogger(logger: Logger): Promise<void> {
  const closing = closings.get(logger) ?? new Promise<void>((resolve) => logger.once('finish', resolve).end());
  closings.set(logger, closing);
  return closing;
}

/** Loggers that are closed, or about to be. */
const closings = new WeakMap<Logger, Promise<void>>();

/** Without one, winston would write JSON of its own, unredacted. */
const asIs = winston.format((info) => info)();

function openFile(directory: string, path: string, service: string): RotatingFile {
  let told = false;
  const onError = (error: Error) => {
    if (!told) process.stderr.write(`${service}: cannot write the log ${path}: ${error.message}\n`);
    told = true;
  };
  try {
    mkdirSync(directory, { recursive: true });
    return new RotatingFile({ path, bytesMax: FILE_BYTES_MAX, filesMax: FILES_MAX, onError });
  } catch (error) {
    throw new StartupError(`cannot write the log ${path}: ${(error as NodeJS.ErrnoException).code ?? String(error)}`, { cause: error });
  }
}

function colourful(stream: NodeJS.WriteStream): boolean {
  return stream.isTTY && process.env['NO_COLOR'] === undefined;
}
