// A program as a child process that cannot outlive this one, however this one ends, and that need not cooperate for that.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export interface Exit {
  /** As a shell has it: 128 and the number of the signal that ended it, if one did. */
  readonly code: number | null;
}

export interface GuardedProcess {
  readonly pid: number;
  readonly running: boolean;
  /** Settles when the program has ended; never rejects. */
  readonly exited: Promise<Exit>;
  /** Does nothing when the program has ended. */
  signal(signal: NodeJS.Signals): void;
}

/**
 * A shell starts the program and waits for it. Beside it another one reads a pipe that ends with this process, and then kills the program: that
 * works also when this process gets SIGKILL. (The services of a cluster read such a pipe themselves; a foreign program does not.)
 */
const SCRIPT = `
log=$1
shift
exec 3<&0
"$@" </dev/null >>"$log" 2>&1 3<&- &
program=$!
echo "$program"
{ cat <&3 >/dev/null; kill -KILL "$program"; } >/dev/null 2>&1 &
guard=$!
exec 3<&-
wait "$program"
code=$?
kill "$guard"
exit "$code"
`;

/**
 * Starts the program with its output appended to the log file, in a process group of its own, so that Ctrl-C reaches only this process.
 * Keeps this process alive until the program ends.
 *
 * @throws Error when there is no shell
 */
export async function startGuarded(program: string, args: readonly string[], logFile: string): Promise<GuardedProcess> {
  const child = spawn('sh', ['-c', SCRIPT, 'sh', logFile, program, ...args], { detached: true, stdio: ['pipe', 'pipe', 'ignore'] });
  let running = true;
  const exited = new Promise<Exit>((settle) => {
    child.once('exit', (code) => {
      running = false;
      child.stdin.destroy();
      settle({ code });
    });
  });
  const pid = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    createInterface({ input: child.stdout }).once('line', (line) => resolve(Number(line)));
  });
  return {
    pid,
    get running() {
      return running;
    },
    exited,
    signal(signal) {
      if (running) process.kill(pid, signal);
    },
  };
}
