// The command line's words: commands, options and help. What a command does is loaded when it is run, so that --help is fast.

import { Command, CommanderError, Option } from 'commander';
import type { Context } from './context.ts';
import { describeExitCodes, EXIT, type ExitCode } from './exit-codes.ts';
import { describeFailure, UsageError } from './failure.ts';
import { createOutput, type Output, type OutputOptions } from './output.ts';
import { loadSettings, type SettingFlags, type Settings } from './settings.ts';
import { VERSION } from './version.ts';

/** The options that every command has. */
type GlobalOptions = SettingFlags & Partial<OutputOptions> & { input?: boolean };

const EXAMPLES = `Examples:
  strife login alpha alice              log in; asks for the password
  strife balance                        what is in the account
  strife pay beta/bob 12.50 --memo tea  pay somebody
  strife history --limit 5              the newest entries
  strife                                everything by menu
`;

const AFTER_HELP = `
Settings, each by flag, STRIFE_* variable or profile file (TOML), the first of them winning:
  --gateways     STRIFE_GATEWAYS     gateways = ["host:port"]   default 127.0.0.1:7400
  --consul-addr  STRIFE_CONSUL_ADDR  consul_addr = "http://..." finds gateways by Consul (token: STRIFE_CONSUL_TOKEN)
  --consul-ca    STRIFE_CONSUL_CA    consul_ca = "ca.pem"       the authority of an https agent
  --registry-dir STRIFE_REGISTRY_DIR registry_dir = "registry"  finds gateways by a local cluster's registry
  --certs-dir    STRIFE_CERTS_DIR    certs_dir = "certs"
  --certificate  STRIFE_CERTIFICATE  certificate = "client/dev"
  --data-dir     STRIFE_DATA_DIR     data_dir = "data"          for the audit
  --queue        STRIFE_QUEUE        queue = "queue.sqlite"     where offline payments are kept
  --timeout      STRIFE_TIMEOUT                                 seconds for a call; default 10
  --profile      STRIFE_PROFILE                                 default: .strife/profile.toml here or above
The password is asked for, or comes by --password-stdin or STRIFE_PASSWORD.

Exit codes:
${describeExitCodes()}`;

/**
 * Runs one command line, such as `['pay', 'beta/bob', '12.50']`, and returns the exit code. Writes to this process's stdout
 * and stderr. Does not throw.
 */
export async function runCli(args: readonly string[], signal: AbortSignal): Promise<ExitCode> {
  const run = new Run(args, signal);
  try {
    await (await buildProgram(run, args, true)).parseAsync(args, { from: 'user' });
    return run.exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return commanderExitCode(run, error);
    const failure = describeFailure(error);
    run.output.failure(failure, error);
    return failure.exitCode;
  }
}

type Action = (context: Context) => Promise<ExitCode | void>;

/** One run: its options once they are known, and its end. */
class Run {
  readonly signal: AbortSignal;
  exitCode: ExitCode = EXIT.ok;
  /** Until the options are known, a guess: mistakes in them are told too. */
  output: Output;

  constructor(args: readonly string[], signal: AbortSignal) {
    this.signal = signal;
    this.output = createOutput({ json: args.includes('--json'), quiet: false, verbose: false, color: 'auto' });
  }

  /** Runs what a command does, with the options that were typed before or after its name. */
  async command(typed: Command, action: Action): Promise<void> {
    const options = typed.optsWithGlobals<GlobalOptions>();
    const { json = false, quiet = false, verbose = false, color = 'auto', input = true } = options;
    this.output = createOutput({ json, quiet, verbose, color });
    const settings = loadSettings(options, process.env, process.cwd());
    describeSettings(this.output, settings);
    const isTerminal = process.stdin.isTTY && process.stderr.isTTY;
    const { output, signal } = this;
    this.exitCode = (await action({ output, settings, signal, isInteractive: isTerminal && input && !json })) ?? EXIT.ok;
  }
}

function describeSettings(output: Output, { profileFile, source, gateways, registryDir, consulAddress, certsDir, certificate }: Settings): void {
  const where = { list: gateways.join(', '), registry: registryDir, consul: consulAddress }[source];
  output.detail(`profile ${profileFile ?? 'none'}; gateways by ${source}: ${where}; certificate ${certificate} in ${certsDir}`);
}

/** The program. Without the menu it has no default command, so that a mistyped one gets commander's suggestion. */
async function buildProgram(run: Run, args: readonly string[], withMenu: boolean): Promise<Command> {
  const program = new Command('strife')
    .description('Pays people at other banks through a Strife gateway.')
    .usage('[options] [command]')
    .version(VERSION)
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ outputError: () => undefined })
    .addHelpText('before', EXAMPLES)
    .addHelpText('after', AFTER_HELP);
  addGlobalOptions(program);
  addSessionCommands(program, run);
  addAccountCommands(program, run);
  addQueueCommands(program, run);
  addAuditCommand(program, run);
  addCheckCommands(program, run);
  await addCompletion(program, args);
  if (withMenu) addMenu(program, run, args);
  return program;
}

function addGlobalOptions(program: Command): void {
  program
    .option('--json', 'results as JSON: one document of version 1, a line for each')
    .option('-q, --quiet', 'no messages beside the result and errors')
    .option('-v, --verbose', 'say which settings are used, and show stacks')
    .option('--no-input', 'never ask anything')
    .addOption(new Option('--color <when>', 'colors (also NO_COLOR)').choices(['auto', 'always', 'never']))
    .option('--profile <name or file>', 'settings to use')
    .option('--gateways <host:port,...>', 'the gateways')
    .option('--consul-addr <url>', 'the Consul agent that knows the gateways')
    .option('--consul-ca <file>', "the authority of an https agent's certificate")
    .option('--registry-dir <dir>', 'the registry of a local cluster that knows the gateways')
    .option('--queue <file>', 'where offline payments are kept')
    .option('--certs-dir <dir>', 'where the certificates are')
    .option('--certificate <identity>', 'whose certificate to use')
    .option('--timeout <seconds>', 'time for each call, repetitions included');
}

function addSessionCommands(program: Command, run: Run): void {
  program
    .command('login <bank> <user>')
    .description('Log in at your bank. Whoever was logged in here is logged out.')
    .option('--password-stdin', 'read the password from stdin')
    .option('--keep-queue', 'log in although payments of whoever was logged in are queued: they wait for the next login of that one')
    .addHelpText('before', 'Examples:\n  strife login alpha alice\n  pass bank/alice | strife login alpha alice --password-stdin\n')
    .action((bank: string, user: string, options: { passwordStdin?: boolean; keepQueue?: boolean }, command: Command) =>
      run.command(command, async (context) => (await import('./commands/login.ts')).login(context, bank, user, options)),
    );
  program
    .command('logout')
    .description('Log out: the session ends at the gateway and is deleted here.')
    .option('--keep-queue', 'log out although payments are queued: they wait for the next login')
    .action((options: { keepQueue?: boolean }, command: Command) =>
      run.command(command, async (context) => (await import('./commands/logout.ts')).logout(context, options)),
    );
  program
    .command('whoami')
    .description('Say who is logged in here.')
    .action((_options, command: Command) =>
      run.command(command, async (context) => (await import('./commands/whoami.ts')).whoami(context)),
    );
}

function addAccountCommands(program: Command, run: Run): void {
  program
    .command('balance')
    .description('Show what is in your account.')
    .action((_options, command: Command) =>
      run.command(command, async (context) => (await import('./commands/balance.ts')).balance(context)),
    );
  program
    .command('pay <payee> <amount>')
    .description('Pay somebody. The payee is written <bank>/<user>, the amount as 12.50.')
    .option('--currency <code>', "default: your account's")
    .option('--memo <text>', 'a note for both, at most 140 characters')
    .option('--id <uuid>', 'the id of a payment that was made before: asks what became of it, and never pays twice')
    .addOption(new Option('--wait <until>', 'what to wait for (default: settled)').choices(['decided', 'settled']))
    .option('--offline', 'save the payment first, and deliver it when a gateway is there')
    .option('--expires-in <time>', 'give it up if it is not made within 90s, 15m, 2h or 3d')
    .option('--expires-at <moment>', 'give it up if it is not made by then: 2026-11-24T18:00:00Z')
    .addHelpText('before', 'Examples:\n  strife pay beta/bob 12.50\n  strife pay beta/bob 12.50 --memo "tea and cake"\n  strife pay beta/bob 12.50 --offline --expires-in 2h\n')
    .action((payee: string, amount: string, _options, command: Command) =>
      run.command(command, async (context) =>
        (await import('./commands/pay.ts')).pay(context, payee, amount, command.optsWithGlobals()),
      ),
    );
  program
    .command('history')
    .description('Show what went in and out, newest first.')
    .option('--limit <n>', 'how many entries (default: 20)')
    .option('-f, --follow', 'show new entries as they come')
    .addHelpText('before', 'Examples:\n  strife history --limit 5\n  strife history --json --limit 1000 > history.jsonl\n')
    .action((options: { limit?: string; follow?: boolean }, command: Command) =>
      run.command(command, async (context) => (await import('./commands/history.ts')).history(context, options)),
    );
  const transfer = program.command('transfer').description('Look at a transfer.');
  transfer
    .command('explain <id>')
    .description('Show step by step what happened to a transfer, at the gateway and at both banks.')
    .action((id: string, _options, command: Command) =>
      run.command(command, async (context) => (await import('./commands/transfer-explain.ts')).explainTransfer(context, id)),
    );
  transfer
    .command('show <id>')
    .description('Show what became of a transfer.')
    .action((id: string, _options, command: Command) =>
      run.command(command, async (context) => (await import('./commands/transfer-show.ts')).showTransfer(context, id)),
    );
}

function addAuditCommand(program: Command, run: Run): void {
  program
    .command('audit')
    .description("Read a local cluster's stores and prove that money is conserved. Exit code 1 if not.")
    .option('--data-dir <dir>', 'where the stores are')
    .action((_options, command: Command) =>
      run.command(command, async (context) => (await import('./commands/audit.ts')).audit(context)),
    );
}

function addQueueCommands(program: Command, run: Run): void {
  const queue = program.command('queue').description('Look at offline payments, and deliver them.');
  queue
    .command('list')
    .description('Show the payments of the queue and their results.')
    .option('--state <state>', 'only those that are queued, sending, needs-login, done, declined, expired or failed')
    .action((options: { state?: string }, command: Command) =>
      run.command(command, async (context) => (await import('./commands/queue.ts')).listQueue(context, options)),
    );
  queue
    .command('flush')
    .description('Deliver now what is queued. Exit code 9 if something stays queued.')
    .option('--wait', 'go on until nothing of yours is left, also while no gateway is there')
    .action((options: { wait?: boolean }, command: Command) =>
      run.command(command, async (context) => (await import('./commands/queue.ts')).flushQueue(context, options)),
    );
  queue
    .command('retry <id>')
    .description('Deliver a payment again that was set aside.')
    .action((id: string, _options, command: Command) =>
      run.command(command, async (context) => (await import('./commands/queue.ts')).retryQueued(context, id)),
    );
  queue
    .command('drop <id>')
    .description('Forget a payment that was never sent, or whose end is certain.')
    .action((id: string, _options, command: Command) =>
      run.command(command, async (context) => (await import('./commands/queue.ts')).dropQueued(context, id)),
    );
}

function addCheckCommands(program: Command, run: Run): void {
  program
    .command('doctor')
    .description('Look at everything that a payment from here needs: certificates, gateways, clocks, Consul, stores. Exit code 1 if something is wrong.')
    .option('--data-dir <dir>', 'where the stores of a local cluster are')
    .action((_options, command: Command) =>
      run.command(command, async (context) => (await import('./commands/doctor.ts')).doctor(context)),
    );
  program
    .command('config')
    .description('Look at the settings.')
    .command('explain')
    .description('Show each setting, its value, and where it came from.')
    .action((_options, command: Command) =>
      run.command(command, async (context) => (await import('./commands/config-explain.ts')).explainConfig(context)),
    );
}

/** `strife completion <shell>` prints a script; that script asks `strife complete -- <words>`. Loaded only for these two. */
async function addCompletion(program: Command, args: readonly string[]): Promise<void> {
  if (args.includes('completion') || args.includes('complete')) {
    const { default: tab } = await import('@bomb.sh/tab/commander');
    tab(program, { completionCommandName: 'completion' });
  } else {
    program
      .command('completion <shell>')
      .description('Print a completion script for bash, zsh, fish or powershell.')
      .addHelpText('before', 'Examples:\n  source <(strife completion bash)\n  strife completion fish > ~/.config/fish/completions/strife.fish\n');
  }
}

function addMenu(program: Command, run: Run, args: readonly string[]): void {
  program
    .command('menu [bank] [user]', { isDefault: true, hidden: true })
    .allowExcessArguments()
    .action(async (bank: string | undefined, user: string | undefined, _options, command: Command) => {
      const isMistyped = (bank !== undefined && user === undefined) || command.args.length > 2;
      if (isMistyped) await (await buildProgram(run, args, false)).parseAsync(args, { from: 'user' });
      else await run.command(command, async (context) => (await import('./menu.ts')).menu(context, bank, user));
    });
}

/** Help and version end by commander's exception too; so do mistakes in the command line. */
function commanderExitCode(run: Run, error: CommanderError): ExitCode {
  if (error.exitCode === 0) return EXIT.ok;
  // A command that lacks its subcommand: commander has shown its help on stderr.
  if (error.code === 'commander.help') return EXIT.usage;
  const message = error.message.replace(/^error: /, '').replaceAll('\n', ' ');
  const failure = describeFailure(new UsageError(message, { hint: 'See strife --help' }));
  run.output.failure(failure, error);
  return failure.exitCode;
}
