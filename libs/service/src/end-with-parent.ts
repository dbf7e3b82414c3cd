// Lets a tool that starts services make sure that none of them outlives it, however the tool itself ends.

const PARENT_PIPE_VARIABLE = 'STRIFE_PARENT_PIPE';

/**
 * Where STRIFE_PARENT_PIPE=1 is set, standard input is a pipe that the parent process holds open: when it closes, the
 * parent is gone, and this process stops as on SIGTERM. Without the variable nothing happens.
 */
export function endWithParent(): void {
  if (process.env[PARENT_PIPE_VARIABLE] !== '1') return;
  const stop = (): void => {
    process.kill(process.pid, 'SIGTERM');
  };
  process.stdin.on('end', stop).on('error', stop).resume();
}
