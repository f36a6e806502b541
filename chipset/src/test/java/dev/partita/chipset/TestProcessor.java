package dev.partita.chipset;

import dev.partita.hypervisor.InterceptHandler;
import dev.partita.hypervisor.ProcessorState;
import dev.partita.hypervisor.RunExit;
import dev.partita.hypervisor.TimeSource;
import dev.partita.hypervisor.VirtualProcessor;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/// A processor that runs nothing and notes what it is asked.
public final class TestProcessor implements VirtualProcessor {
  private final int index;
  private final TimeSource time;
  private final long tscFrequency;

  /// How often it was told that an interrupt may be deliverable.
  public int wakes;

  /// NMI, INIT and start-up IPIs, in order.
  public final List<String> signals = Collections.synchronizedList(new ArrayList<>());

  public TestProcessor(int index, TimeSource time, long tscFrequency) {
    this.index = index;
    this.time = time;
    this.tscFrequency = tscFrequency;
  }

  @Override
  public int index() {
    return index;
  }

  @Override
  public RunExit run(InterceptHandler handler) {
    throw new UnsupportedOperationException();
  }

  @Override
  public void cancel() {}

  @Override
  public ProcessorState state() {
    throw new UnsupportedOperationException();
  }

  @Override
  public void setState(ProcessorState state) {
    throw new UnsupportedOperationException();
  }

  @Override
  public long readTsc() {
    return time.nanoTime() / 1000 * (tscFrequency / 1_000_000)
        + time.nanoTime() % 1000 * (tscFrequency / 1_000_000) / 1000;
  }

  @Override
  public synchronized void interruptRequested() {
    wakes++;
  }

  @Override
  public synchronized void requestNmi() {
    signals.add("NMI");
  }

  @Override
  public synchronized void requestInit() {
    signals.add("INIT");
  }

  @Override
  public synchronized void requestStartup(int vector) {
    signals.add("SIPI " + vector);
  }

  @Override
  public long instructionCount() {
    return 0;
  }

  @Override
  public long general(int register) {
    throw new UnsupportedOperationException();
  }

  @Override
  public void setGeneral(int register, long value) {
    throw new UnsupportedOperationException();
  }

  @Override
  public Mode mode() {
    return Mode.LONG;
  }

  @Override
  public int privilegeLevel() {
    return 0;
  }
}
