package dev.partita.worker;

import dev.partita.disk.VirtualDisk;
import dev.partita.hypervisor.SystemTimeSource;
import dev.partita.worker.Outcome.StopReason;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/// Runs one partition from power-on to its end, through as many resets as the guest asks for.
public final class Worker {
  private final PartitionSettings settings;
  private final Console console;
  private final Drives drives;
  private final Adapters adapters;
  private final Machine.Factory machines;
  private final Object lock = new Object();
  private Runnable beforeRestart = () -> {};
  private @Nullable StopReason stopReason;
  private @Nullable Life life;
  private @Nullable Machine machine;
  private int resets;
  private boolean over;
  private Statistics earlier = Statistics.NONE;

  /// A partition that has not begun.
  ///
  /// @param console the line to its serial port; outlives the worker, and is its owner's to close
  public Worker(PartitionSettings settings, Console console) {
    this(settings, console, new Drives(), adapters(settings));
  }

  private Worker(PartitionSettings settings, Console console, Drives drives, Adapters adapters) {
    this(
        settings,
        console,
        drives,
        adapters,
        events ->
            new VirtualMachine(settings, console, drives, adapters, SystemTimeSource::new, events));
  }

  /// For tests: with machines of another make.
  Worker(PartitionSettings settings, Console console, Machine.Factory machines) {
    this(settings, console, new Drives(), adapters(settings), machines);
  }

  private Worker(
      PartitionSettings settings,
      Console console,
      Drives drives,
      Adapters adapters,
      Machine.Factory machines) {
    this.settings = settings;
    this.console = console;
    this.drives = drives;
    this.adapters = adapters;
    this.machines = machines;
  }

  /// A guest on a disk is the same guest the next time: it finds the same NICs.
  private static Adapters adapters(PartitionSettings settings) {
    var disk =
        settings.drives().stream().map(DriveSettings::file).filter(Objects::nonNull).findFirst();
    return new Adapters(
        disk.map(file -> file.toAbsolutePath().normalize().toString()).orElse(settings.name()),
        RuntimeEntry.folder().resolve("switches"),
        settings.processors(),
        SystemTimeSource::new);
  }

  public PartitionSettings settings() {
    return settings;
  }

  /// Its disks and DVD drives, which outlive the machine when it is reset.
  public Drives drives() {
    return drives;
  }

  /// Its NICs and switches, which outlive the machine too.
  public Adapters adapters() {
    return adapters;
  }

  /// Sets what is done with a disk when the guest has reset the machine, before the next one is
  /// made: its kernel may be another now. To be called before {@link #run}.
  public void beforeRestart(Path disk, Consumer<VirtualDisk> action) {
    beforeRestart = () -> drives.disk(disk).ifPresent(action);
  }

  /// Runs the partition, once. Everything it took is given back when this returns or throws.
  ///
  /// @throws dev.partita.hypervisor.PartitionException if it cannot be made as asked
  public Outcome run() throws InterruptedException {
    try (drives;
        adapters) {
      drives.open(settings.drives());
      adapters.open(settings.network());
      return runToTheEnd();
    } finally {
      synchronized (lock) {
        over = true;
        lock.notifyAll();
      }
    }
  }

  private Outcome runToTheEnd() throws InterruptedException {
    while (true) {
      switch (runOnce()) {
        case End.Final(var outcome) -> {
          return outcome;
        }
        case End.Reset() -> {
          if (!settings.restartOnReset()) {
            return new Outcome.Rebooted();
          }
          beforeRestart.run();
          synchronized (lock) {
            resets++;
            lock.notifyAll();
          }
        }
      }
    }
  }

  private End runOnce() throws InterruptedException {
    var now = new Life();
    synchronized (lock) {
      life = now;
      if (stopReason != null) {
        return new End.Final(new Outcome.Stopped(stopReason));
      }
    }
    console.interruptGuest(false);
    try (var born = machines.create(now)) {
      synchronized (lock) {
        machine = born;
      }
      born.start();
      return now.await();
    } finally {
      synchronized (lock) {
        life = null;
        if (machine != null) {
          earlier = earlier.plus(machine.statistics());
          machine = null;
        }
      }
    }
  }

  /// Ends the partition: {@link #run} returns {@link Outcome.Stopped} soon, unless the guest
  /// reached another end before. Any thread; the first reason counts.
  public void stop(StopReason reason) {
    synchronized (lock) {
      if (stopReason == null) {
        stopReason = reason;
        if (life != null) {
          life.end(new End.Final(new Outcome.Stopped(reason)));
        }
      }
    }
  }

  /// Begins the machine again, as by its reset button. Any thread; without effect while there is no
  /// machine.
  public void reset() {
    synchronized (lock) {
      if (life != null) {
        life.end(new End.Reset());
      }
    }
  }

  /// How often the machine has begun again. Any thread.
  public int resets() {
    synchronized (lock) {
      return resets;
    }
  }

  /// Waits until the machine has begun again more often than a count. Any thread.
  ///
  /// @return false if it never will: the partition has ended
  public boolean awaitReset(int count) throws InterruptedException {
    synchronized (lock) {
      while (resets <= count && !over) {
        lock.wait();
      }
      return resets > count;
    }
  }

  /// The guest, whatever machine it runs on. Any thread.
  public Guest guest() {
    return new Guest(
        () -> {
          synchronized (lock) {
            return machine == null ? Optional.empty() : Optional.of(machine.services());
          }
        });
  }

  /// Whether the guest answers: `ok`, `lost`, or `no-contact` without its driver. Any thread.
  public String heartbeat() {
    synchronized (lock) {
      return machine == null ? "no-contact" : machine.services().heartbeatLabel();
    }
  }

  /// What it has cost so far. Any thread.
  public Statistics statistics() {
    var disks = drives.counters();
    var nics = adapters.counters();
    synchronized (lock) {
      var all = machine == null ? earlier : earlier.plus(machine.statistics());
      return all.with(disks).with(nics);
    }
  }

  /// How one machine's life ended.
  private sealed interface End {
    record Final(Outcome outcome) implements End {}

    record Reset() implements End {}
  }

  /// Waits for the first event of one machine's life.
  private static final class Life implements Machine.Events {
    private final CompletableFuture<End> ended = new CompletableFuture<>();

    void end(End end) {
      ended.complete(end);
    }

    End await() throws InterruptedException {
      try {
        return ended.get();
      } catch (ExecutionException e) {
        throw new IllegalStateException(e);
      }
    }

    @Override
    public void poweredOff() {
      end(new End.Final(new Outcome.PoweredOff()));
    }

    @Override
    public void reset() {
      end(new End.Reset());
    }

    @Override
    public void crashed(String summary, List<String> details) {
      end(new End.Final(new Outcome.Crashed(summary, details)));
    }

    @Override
    public void failed(String summary, List<String> details) {
      end(new End.Final(new Outcome.Failed(summary, details)));
    }
  }
}
