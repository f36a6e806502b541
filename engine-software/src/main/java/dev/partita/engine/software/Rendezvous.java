package dev.partita.engine.software;

import java.util.List;

/// Brings all processors of a partition to a stand between two blocks, so that one thread can
/// change what
/// they share: write protection of a page whose code was just decoded, a locked access across two
/// words,
/// 16-byte exchanges.
///
/// A processor counts as running between {@link #enter} and {@link #leave}; while it waits or
/// handles an
/// intercept it has left.
final class Rendezvous {
  private List<SoftwareProcessor> processors = List.of();
  private int running;
  private boolean exclusive;

  void setProcessors(List<SoftwareProcessor> processors) {
    this.processors = processors;
  }

  /// Before a processor touches shared state; waits while another thread is exclusive.
  synchronized void enter() {
    boolean interrupted = false;
    while (exclusive) {
      interrupted |= waitHere();
    }
    running++;
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  synchronized void leave() {
    running--;
    notifyAll();
  }

  /// A running processor that was asked to pause does it here.
  synchronized void pause() {
    leave();
    enter();
  }

  /// Stops the others.
  ///
  /// @param self the calling processor, which is running
  /// @return closes to let them go on
  Exclusive exclusive(SoftwareProcessor self) {
    if (processors.size() == 1) {
      return Exclusive.ALONE;
    }
    synchronized (this) {
      running--;
      notifyAll();
      begin();
    }
    return new Exclusive(this, true);
  }

  /// Stops all processors, from a thread that is none.
  Exclusive exclusive() {
    synchronized (this) {
      begin();
    }
    return new Exclusive(this, false);
  }

  private void begin() {
    boolean interrupted = false;
    while (exclusive) {
      interrupted |= waitHere();
    }
    exclusive = true;
    for (var processor : processors) {
      processor.requestPause();
    }
    while (running > 0) {
      interrupted |= waitHere();
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private synchronized void end(boolean processor) {
    exclusive = false;
    if (processor) {
      running++;
    }
    notifyAll();
  }

  private boolean waitHere() {
    try {
      wait();
      return false;
    } catch (InterruptedException e) {
      return true;
    }
  }

  /// Until closed, no other processor runs.
  static final class Exclusive implements AutoCloseable {
    static final Exclusive ALONE = new Exclusive(null, true);

    private final @org.jspecify.annotations.Nullable Rendezvous rendezvous;
    private final boolean processor;

    private Exclusive(@org.jspecify.annotations.Nullable Rendezvous rendezvous, boolean processor) {
      this.rendezvous = rendezvous;
      this.processor = processor;
    }

    @Override
    public void close() {
      if (rendezvous != null) {
        rendezvous.end(processor);
      }
    }
  }
}
