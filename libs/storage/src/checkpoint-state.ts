// What the owner of a store and the thread that copies its log tell each other.

export interface CheckpointThreadData {
  readonly path: string;
  /** One of the three below. With a notification when the thread has let go of the store. */
  readonly ended: Int32Array;
}

/** `copy` is answered, by an empty message, when all that could be copied is in the main file and synced. */
export type CheckpointRequest = 'copy' | 'end';

export const RUNNING = 0;
/** All that it copied went well. */
export const ENDED = 1;
/** It could not open the store, or not copy. */
export const FAILED = 2;
