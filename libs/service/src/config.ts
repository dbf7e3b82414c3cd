// Configuration from flags and STRIFE_* variables, checked as a whole: whoever starts a program hears of every mistake at once.
import { Command, Option } from 'commander';
import * as v from 'valibot';
import { HelpShown, UsageError } from './failures.ts';

export interface ConfigOption<Schema extends v.GenericSchema = v.GenericSchema> {
  /** `--port`, or with a word for its value, `--port <number>`. */
  flag: string;
  /** The variable that counts when the flag is absent; an empty one counts as absent. */
  env: string;
  /** Checks and converts the text. */
  schema: Schema;
  /** Goes through the schema like a flag's value. Without one, the option is required, unless its schema is `optional`. */
  default?: string;
  help: string;
}

export interface ServiceConfigOptions<Options extends Record<string, ConfigOption>> {
  program: string;
  description: string;
  options: Options;
  /** Without the interpreter and the script: `process.argv.slice(2)`. */
  argv: readonly string[];
  env: Readonly<Record<string, string | undefined>>;
}

export type ServiceConfig<Options extends Record<string, ConfigOption>> = {
  [Name in keyof Options]: v.InferOutput<Options[Name]['schema']>;
};

const DURATION = /^(\d{1,12})(ms|s|m|h)?$/;
const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;
const PORT_MAX = 65_535;
const SHOWN_CHARS_MAX = 80;

/**
 * A duration as people write it, `500ms`, `2s`, `1m`, `1h`, or a bare number of milliseconds; gives milliseconds. Both bounds are
 * durations in that form, and count as inside. Every option has bounds: a timer that is set for longer than 2^31 ms goes off at once.
 */
export function durationMs(least: string, most: string) {
  const [leastMs, mostMs] = [readDuration(least)!, readDuration(most)!];
  return v.pipe(v.string(), v.rawTransform<string, number>(({ dataset, addIssue, NEVER }) => {
    const ms = readDuration(dataset.value);
    if (ms !== undefined && ms >= leastMs && ms <= mostMs) return ms;
    addIssue({ message: ms === undefined ? 'expected a duration such as 500ms, 2s, 1m or 1h' : `expected a duration from ${least} to ${most}` });
    return NEVER;
  }), v.description(`${least} to ${most}`));
}

function readDuration(text: string): number | undefined {
  const match = DURATION.exec(text);
  return match === null ? undefined : Number(match[1]) * UNIT_MS[(match[2] ?? 'ms') as keyof typeof UNIT_MS];
}

/** 0 takes any free port. */
export const port = v.pipe(
  v.string(),
  v.check((text) => /^\d{1,5}$/.test(text) && Number(text) <= PORT_MAX, 'expected a port from 0 to 65535'),
  v.transform((text) => Number(text)),
);

/** `host:port`, as others are to call it: a name or an IPv4 address, and no port 0. */
export const hostAndPort = v.pipe(v.string(), v.rawTransform<string, { host: string; port: number }>(({ dataset, addIssue, NEVER }) => {
  const [, host, digits] = /^([A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?):(\d{1,5})$/.exec(dataset.value) ?? [];
  const number = Number(digits);
  if (host !== undefined && number >= 1 && number <= PORT_MAX) return { host, port: number };
  addIssue({ message: 'expected host:port with a port from 1 to 65535' });
  return NEVER;
}));

/** A name as it stands in certificates, addresses and file names. */
export const instanceName = v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'expected 1 to 63 of a-z, 0-9 and -, not starting with -'));

/** A plain path, of a file or a directory; whether it exists is found out by whoever uses it. */
export const filePath = v.pipe(
  v.string(),
  v.minLength(1, 'expected a path'),
  v.check((text) => !text.includes('\0'), 'expected a path without NUL characters'),
);

/** A text of which no more is known than that it is not empty. */
export const nonEmptyText = v.pipe(v.string(), v.minLength(1, 'expected a text that is not empty'));

export const url = v.pipe(v.string(), v.url('expected a URL such as http://127.0.0.1:8500'));

export function oneOf<const Words extends readonly string[]>(words: Words) {
  return v.picklist(words, `expected ${words.join(' or ')}`);
}

/** The option may be left out, and is undefined then. */
export function optional<const Schema extends v.GenericSchema>(schema: Schema) {
  return v.optional(schema);
}

/**
 * The checked configuration. A flag wins over its variable, and that over the default.
 *
 * @throws UsageError with everything that is wrong: unknown flags, stray arguments, missing and bad values.
 * @throws HelpShown after `--help` was printed on stdout.
 */
export function parseServiceConfig<const Options extends Record<string, ConfigOption>>(
  settings: ServiceConfigOptions<Options>,
): ServiceConfig<Options> {
  const { program, options, argv, env } = settings;
  const command = buildCommand(settings);
  const problems: string[] = [];
  const { flags, stray } = readFlags(command, argv);
  problems.push(...stray);

  const config: Record<string, unknown> = {};
  for (const [name, option] of Object.entries(options)) {
    const { source, text } = pick(option, flags, env) ?? {};
    if (text === undefined) {
      settleAbsent(name, option, config, problems);
    } else if (text === NO_VALUE) {
      problems.push(`${source}: needs a value`);
    } else {
      const result = v.safeParse(option.schema, text);
      if (result.success) config[name] = result.output;
      else problems.push(...result.issues.map((issue) => `${source}: ${issue.message}, got ${shown(text)}`));
    }
  }
  if (problems.length > 0) throw new UsageError(program, problems);
  return config as ServiceConfig<Options>;
}

function buildCommand({ program, description, options }: ServiceConfigOptions<Record<string, ConfigOption>>): Command {
  const command = new Command(program)
    .description(description)
    // Collected by `readFlags` instead of stopping at the first.
    .allowUnknownOption()
    .allowExcessArguments()
    .configureHelp({ optionTerm });
  for (const option of Object.values(options)) {
    const value = /<(.+)>/.exec(option.flag)?.[1] ?? 'value';
    // An optional value, so that a missing one is found here, with all other problems, and not by commander.
    command.addOption(new Option(`${longFlag(option)} [${value}]`, `${option.help} (${note(option)})`));
  }
  return command;
}

/** How the help shows an option: its value is not really optional. */
function optionTerm({ flags }: Option): string {
  return flags.replace('[', '<').replace(']', '>');
}

function note(option: ConfigOption): string {
  const description = v.getDescription(option.schema);
  if (option.default !== undefined) return `${option.env}; ${description === undefined ? '' : `${description}; `}default: ${option.default}`;
  return `${option.env}; ${v.is(option.schema, undefined) ? 'optional' : 'required'}`;
}

/** What commander gives for a flag that stands alone. */
const NO_VALUE = true;

type Given = string | typeof NO_VALUE;

function readFlags(command: Command, argv: readonly string[]): { flags: Map<string, Given>; stray: string[] } {
  if (argv.includes('--help') || argv.includes('-h')) {
    command.outputHelp();
    throw new HelpShown(command.name());
  }
  const parsed = command.parseOptions([...argv]);
  const flags = new Map<string, Given>();
  for (const option of command.options) {
    const value: unknown = command.getOptionValue(option.attributeName());
    if (typeof value === 'string' || value === NO_VALUE) flags.set(option.long!, value);
  }
  const unknown = parsed.unknown.filter((text) => text.startsWith('-')).map((text) => `${text.split('=')[0]}: unknown option`);
  const operands = parsed.operands.map((text) => `${shown(text)}: unexpected argument`);
  return { flags, stray: [...unknown, ...operands] };
}

function pick(
  option: ConfigOption,
  flags: ReadonlyMap<string, Given>,
  env: ServiceConfigOptions<never>['env'],
): { source: string; text: Given } | undefined {
  const flag = flags.get(longFlag(option));
  if (flag !== undefined) return { source: longFlag(option), text: flag };
  const variable = env[option.env];
  return variable === undefined || variable === '' ? undefined : { source: option.env, text: variable };
}

function settleAbsent(name: string, option: ConfigOption, config: Record<string, unknown>, problems: string[]): void {
  const result = v.safeParse(option.schema, option.default);
  if (result.success) config[name] = result.output;
  else if (option.default === undefined) problems.push(`${longFlag(option)}: required (or set ${option.env})`);
  else throw new TypeError(`the default of ${longFlag(option)} is wrong: ${result.issues[0].message}`);
}

function longFlag(option: ConfigOption): string {
  return option.flag.split(/[ =]/)[0]!;
}

function shown(text: string): string {
  return JSON.stringify(text.length <= SHOWN_CHARS_MAX ? text : `${text.slice(0, SHOWN_CHARS_MAX)}…`);
}
