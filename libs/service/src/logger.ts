// Logs: JSON lines in a file, and a readable form on a terminal. Secrets are dropped by name, and by shape in free text.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import winston from 'winston';
import Transport from 'winston-transport';
import { StartupError } from './failures.ts';
import { Gathered } from './gathered.ts';
import { redact } from './redact.ts';
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
  const readable = terminal ? readableLine(colourful(process.stdout)) : undefined;
  const gathered = new Gathered<Record<string, unknown>>((infos) => {
    const lines = infos.map(lineOf);
    file.write(lines.map(({ json }) => `${json}\n`).join(''));
    if (readable !== undefined) process.stdout.write(lines.map(({ record }) => `${readable(record)}\n`).join(''));
  });
  // One transport for both places: winston hands a line to each of its transports in a copy, through a stream of its own.
  const transport = new Transport({
    log(info: Record<string, unknown>, next) {
      info['timestamp'] = new Date().toISOString();
      gathered.add(info);
      next();
    },
  });
  const logger = winston.createLogger({ level, defaultMeta: { service }, format: asIs, transports: [transport] });
  // Only lines after the end can fail here, and those are lost by contract.
  logger.on('error', () => undefined);
  logger.once('finish', () => {
    gathered.close();
    file.close();
  });
  return logger;
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

interface Line {
  readonly record: Record<string, unknown>;
  readonly json: string;
}

function lineOf(info: Record<string, unknown>): Line {
  try {
    return toLine(redact(info));
  } catch (error) {
    // Nobody is left who could be told.
    const { timestamp, level, service } = info;
    return toLine({ timestamp, level, service, message: 'a line could not be logged', reason: error instanceof Error ? error.name : typeof error });
  }
}

function toLine(record: Record<string, unknown>): Line {
  return { record, json: JSON.stringify(record) };
}

/** Those that a readable line begins with, unnamed. */
const HEAD_FIELDS = new Set(['timestamp', 'level', 'service', 'message']);
const COLOURS: Record<string, number> = { error: 31, warn: 33, info: 36, debug: 90 };

function readableLine(colour: boolean): (record: Record<string, unknown>) => string {
  const paint = (code: number, text: string) => (colour ? `\u001b[${code}m${text}\u001b[39m` : text);
  return (record) => {
    const { timestamp, level, service, message } = record as Record<string, string>;
    let line = `${timestamp!.slice(11, 23)} ${paint(COLOURS[level!] ?? 39, level!.padEnd(5))} ${service} ${message}`;
    for (const field of Object.keys(record)) {
      if (!HEAD_FIELDS.has(field)) line += ` ${paint(90, `${field}=`)}${fieldText(record[field])}`;
    }
    return line;
  };
}

function fieldText(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  const { stack } = value as { stack?: unknown };
  return typeof stack === 'string' ? stack : JSON.stringify(value);
}

function colourful(stream: NodeJS.WriteStream): boolean {
  return stream.isTTY && process.env['NO_COLOR'] === undefined;
}
