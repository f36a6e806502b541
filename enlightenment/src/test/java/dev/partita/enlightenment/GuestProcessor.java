package dev.partita.enlightenment;

import dev.partita.hypervisor.InterceptHandler;
import dev.partita.hypervisor.ProcessorState;
import dev.partita.hypervisor.RunExit;
import dev.partita.hypervisor.TimeSource;
import dev.partita.hypervisor.VirtualProcessor;
import java.math.BigInteger;

/// A processor that executes nothing: a test stands in for the guest.
final class GuestProcessor implements VirtualProcessor {
  private final int index;
  private final TimeSource time;
  private final long tscFrequency;
  final long[] general = new long[16];
  Mode mode = Mode.LONG;
  int privilegeLevel;
  long tscOffset;

  GuestProcessor(int index, TimeSource time, long tscFrequency) {
    this.index = index;
    this.time = time;
    this.tscFrequency = tscFrequency;
  }

  @Override
  public int index() {
    return index;
  }

  @Override
  public long readTsc() {
    return BigInteger.valueOf(time.nanoTime())
            .multiply(BigInteger.valueOf(tscFrequency))
            .divide(BigInteger.valueOf(1_000_000_000))
            .longValueExact()
        + tscOffset;
  }

  @Override
  public long general(int register) {
    return general[register];
  }

  @Override
  public void setGeneral(int register, long value) {
    general[register] = value;
  }

  @Override
  public Mode mode() {
    return mode;
  }

  @Override
  public int privilegeLevel() {
    return privilegeLevel;
  }

  @Override
  public RunExit run(InterceptHandler handler) {
    throw new UnsupportedOperationException();
  }

  @Override
  public void cancel() {
    throw new UnsupportedOperationException();
  }

  @Override
  public ProcessorState state() {
    throw new UnsupportedOperationException();
  }

  @Override
  public void setState(ProcessorState state) {
    throw new UnsupportedOperationException();
  }

  @Override
  public void interruptRequested() {
    throw new UnsupportedOperationException();
  }

  @Override
  public void requestNmi() {
    throw new UnsupportedOperationException();
  }

  @Override
  public void requestInit() {
    throw new UnsupportedOperationException();
  }

  @Override
  public void requestStartup(int vector) {
    throw new UnsupportedOperationException();
  }

  @Override
  public long instructionCount() {
    throw new UnsupportedOperationException();
  }
}
