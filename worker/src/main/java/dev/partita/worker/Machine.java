package dev.partita.worker;

import java.util.List;

/// One life of a partition's hardware, from power-on until it is closed. A reset closes it, and the
/// worker makes another.
interface Machine extends AutoCloseable {
  /// Starts the virtual processors; returns at once.
  void start();

  /// By what the guest can be asked.
  GuestServices services();

  /// Counters so far. May be called at any time before and after {@link #close}.
  Statistics statistics();

  /// Stops the processors, waits for their threads, and frees everything. Idempotent.
  @Override
  void close();

  /// Makes machines.
  @FunctionalInterface
  interface Factory {
    /// Makes a machine, loaded and ready to start.
    ///
    /// @param events hears what ends it; called on any thread, also during {@link Machine#start}
    /// @throws dev.partita.hypervisor.PartitionException if it cannot be made as asked
    Machine create(Events events);
  }

  /// What the guest does to the machine as a whole. The first one counts.
  interface Events {
    /// The guest switched the machine off.
    void poweredOff();

    /// The guest reset the machine.
    void reset();

    /// The guest cannot go on, or says that it has crashed.
    ///
    /// @param summary one line
    /// @param details further lines
    void crashed(String summary, List<String> details);

    /// Partita itself failed.
    ///
    /// @param summary one line
    /// @param details further lines
    void failed(String summary, List<String> details);
  }
}
