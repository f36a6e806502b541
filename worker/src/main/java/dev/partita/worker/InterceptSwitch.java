package dev.partita.worker;

import dev.partita.chipset.Motherboard;
import dev.partita.enlightenment.Enlightenment;
import dev.partita.hypervisor.Intercept;
import dev.partita.hypervisor.InterceptHandler;
import dev.partita.hypervisor.VirtualProcessor;
import java.util.Map;
import java.util.TreeMap;

/// Where a machine's intercepts go, counted by cause. Each processor counts for itself; a reader
/// may see counts that lag.
final class InterceptSwitch implements InterceptHandler {
  private enum Cause {
    PORT_READ("port-read"),
    PORT_WRITE("port-write"),
    MMIO_READ("mmio-read"),
    MMIO_WRITE("mmio-write"),
    MSR_READ("msr-read"),
    MSR_WRITE("msr-write"),
    MSR_UNKNOWN("msr-unknown"),
    HYPERVISOR_PORT("hypercall"),
    EXTERNAL_INTERRUPT("external-interrupt"),
    END_OF_INTERRUPT("end-of-interrupt"),
    HALT("halt");

    final String label;

    Cause(String label) {
      this.label = label;
    }
  }

  private static final int CAUSES = Cause.values().length;

  private final Motherboard board;
  private final Enlightenment enlightenment;
  private final Machine.Events events;
  private final long[][] counts;

  InterceptSwitch(
      Motherboard board, Enlightenment enlightenment, Machine.Events events, int processorCount) {
    this.board = board;
    this.enlightenment = enlightenment;
    this.events = events;
    counts = new long[processorCount][CAUSES];
  }

  @Override
  public void handle(VirtualProcessor processor, Intercept intercept) {
    switch (intercept) {
      case Intercept.PortRead read -> {
        count(processor, Cause.PORT_READ);
        board.handle(processor, read);
      }
      case Intercept.PortWrite write -> {
        if (enlightenment.handlePortWrite(processor, write)) {
          count(processor, Cause.HYPERVISOR_PORT);
        } else {
          count(processor, Cause.PORT_WRITE);
          board.handle(processor, write);
        }
      }
      case Intercept.MmioRead read -> {
        count(processor, Cause.MMIO_READ);
        board.handle(read);
      }
      case Intercept.MmioWrite write -> {
        count(processor, Cause.MMIO_WRITE);
        board.handle(write);
      }
      case Intercept.MsrRead read -> {
        boolean known = enlightenment.handleMsrRead(processor, read);
        count(processor, known ? Cause.MSR_READ : Cause.MSR_UNKNOWN);
      }
      case Intercept.MsrWrite write -> {
        boolean known = enlightenment.handleMsrWrite(processor, write);
        count(processor, known ? Cause.MSR_WRITE : Cause.MSR_UNKNOWN);
      }
      case Intercept.ExternalInterrupt interrupt -> {
        count(processor, Cause.EXTERNAL_INTERRUPT);
        board.handle(interrupt);
      }
      case Intercept.EndOfInterrupt end -> {
        count(processor, Cause.END_OF_INTERRUPT);
        board.handle(end);
      }
      case Intercept.Halt _ -> count(processor, Cause.HALT);
      case Intercept.Shutdown shutdown -> shutDown(processor, shutdown);
    }
  }

  private void shutDown(VirtualProcessor processor, Intercept.Shutdown shutdown) {
    var report = CrashReport.lines(processor.index(), shutdown.state(), shutdown.code());
    switch (shutdown.reason()) {
      case TRIPLE_FAULT, UNSUPPORTED -> events.crashed(shutdown.detail(), report);
      case INTERNAL_ERROR -> events.failed(shutdown.detail(), report);
    }
  }

  private void count(VirtualProcessor processor, Cause cause) {
    counts[processor.index()][cause.ordinal()]++;
  }

  /// How often each cause came, those that never did left out.
  Map<String, Long> counts() {
    var sums = new TreeMap<String, Long>();
    for (var cause : Cause.values()) {
      long sum = 0;
      for (var own : counts) {
        sum += own[cause.ordinal()];
      }
      if (sum > 0) {
        sums.put(cause.label, sum);
      }
    }
    return sums;
  }
}
