// Logs: JSON lines in a file, and a readable form on a terminal. Secrets are dropped by name, and by shape in free text.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import winston from 'winston';
import { StartupError } from './failures.ts';
import { redact } from './redact.ts';
import { RotatingFile } from './rotating-file.ts';
import { TerminalLines } from './terminal-lines.ts';

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
const CLOSE_TIMEOUT_MS = 2_000;

/**
 * A logger that writes `<directory>/<service>.log`; when that grows over 64 MiB it becomes `.log.1`, and four of those are kept.
 *
 * Losing log lines never stops a payment: when the file can no longer be written, that is said once on stderr.
 *
 * @throws StartupError when the file cannot be opened for writing.
 */
export function createLogger({ service, directory, level, terminal }: LoggerOptions): Logger {
  const path = join(directory, `${service}.log`);
  const file = openFile(directory, path, service);
  const transports: winston.transport[] = [
    new winston.transports.Stream({ stream: file, format: winston.format.printf((info) => JSON.stringify(info)) }),
  ];
  if (terminal) transports.push(new winston.transports.Stream({ stream: new TerminalLines(process.stdout), format: readable(colourful(process.stdout)) }));
  const logger = winston.createLogger({
    level,
    defaultMeta: { service },
    format: winston.format.combine(winston.format.timestamp(), redaction()),
    transports,
  });
  // Only lines after the end can fail here, and those are lost by contract.
  logger.on('error', () => undefined);
  files.set(logger, file);
  return logger;
}

/**
 * Resolves when everything logged so far is in the file, or after two seconds. What is logged afterwards is lost. Repeating it
 * waits for the same end.
 */
export function closeLogger(logger: Logger): Promise<void> {
  const closing = closings.get(logger) ?? close(logger);
  closings.set(logger, closing);
  return closing;
}

const files = new WeakMap<Logger, RotatingFile>();
/** Loggers that are closed, or about to be. */
const closings = new WeakMap<Logger, Promise<void>>();

async function close(logger: Logger): Promise<void> {
  const drained = logger.transports.map((transport) => new Promise((resolve) => transport.once('finish', resolve)));
  const timeout = Promise.withResolvers<void>();
  const timer = setTimeout(timeout.resolve, CLOSE_TIMEOUT_MS);
  logger.end();
  await Promise.race([Promise.all(drained).then(() => closeFile(files.get(logger))), timeout.promise]);
  clearTimeout(timer);
}

function closeFile(file: RotatingFile | undefined): Promise<void> {
  return new Promise((resolve) => (file === undefined ? resolve() : file.end(resolve)));
}

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

/** Changes `info` in place: winston keeps more about it under symbols. */
const redaction = winston.format((info) => {
  const clean = redact(info);
  for (const field of Object.keys(info)) {
    if (field in clean) info[field] = clean[field];
    else delete info[field];
  }
  return info;
});

const COLOURS: Record<string, number> = { error: 31, warn: 33, info: 36, debug: 90 };

function readable(colour: boolean): winston.Logform.Format {
  const paint = (code: number, text: string) => (colour ? `\u001b[${code}m${text}\u001b[39m` : text);
  return winston.format.printf((info) => {
    const { timestamp, level, service, message, ...fields } = info;
    const time = String(timestamp).slice(11, 23);
    const rest = Object.entries(fields).map(([field, value]) => `${paint(90, `${field}=`)}${fieldText(value)}`);
    return [time, paint(COLOURS[level] ?? 39, level.padEnd(5)), String(service), String(message), ...rest].join(' ');
  });
}

function fieldText(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  const { stack } = value as { stack?: unknown };
  return typeof stack === 'string' ? stack : JSON.stringify(value);
}

function colourful(stream: NodeJS.WriteStream): boolean {
  return stream.isTTY && process.env['NO_COLOR'] === undefined;
}
