package dev.partita.engine.software;

import dev.partita.hypervisor.Intercept;
import dev.partita.hypervisor.LocalApic;
import dev.partita.hypervisor.LocalApicBus;
import dev.partita.hypervisor.LocalApicState;
import dev.partita.hypervisor.VirtualProcessor;

/// Local APICs that never interrupt and accept everything, for tests of the processor alone.
final class QuietApics implements LocalApicBus {
  @Override
  public LocalApic connect(VirtualProcessor processor) {
    return new QuietApic(processor.index());
  }

  @Override
  public void signalMsi(long address, int data) {}

  @Override
  public void setExternalInterrupt(boolean asserted) {}

  @Override
  public void onEndOfInterrupt(EndOfInterruptListener listener) {}

  private static final class QuietApic implements LocalApic {
    private final int id;
    private long base;
    private long deadline;
    private int taskPriority;

    QuietApic(int id) {
      this.id = id;
      reset();
    }

    @Override
    public boolean interruptPending() {
      return false;
    }

    @Override
    public int acknowledge() {
      return -1;
    }

    @Override
    public long apicBase() {
      return base;
    }

    @Override
    public boolean setApicBase(long value) {
      base = value;
      return true;
    }

    @Override
    public int readMmio(int offset) {
      return offset == 0x20 ? id << 24 : 0;
    }

    @Override
    public void writeMmio(int offset, int value) {}

    @Override
    public boolean readMsr(int index, Intercept.MsrRead into) {
      into.answer(0);
      return true;
    }

    @Override
    public boolean writeMsr(int index, long value) {
      return true;
    }

    @Override
    public long tscDeadline() {
      return deadline;
    }

    @Override
    public void setTscDeadline(long deadline) {
      this.deadline = deadline;
    }

    @Override
    public int taskPriority() {
      return taskPriority;
    }

    @Override
    public void setTaskPriority(int priority) {
      taskPriority = priority;
    }

    @Override
    public void reset() {
      // Enabled; the boot processor's flag; the usual address (Intel SDM volume 3, 11.4.4).
      base = 0xFEE0_0800L | (id == 0 ? 0x100 : 0);
      deadline = 0;
      taskPriority = 0;
    }

    @Override
    public LocalApicState state() {
      return new LocalApicState(base, new byte[LocalApicState.REGISTERS_SIZE], deadline, -1);
    }

    @Override
    public void setState(LocalApicState state) {
      base = state.apicBase();
      deadline = state.tscDeadline();
    }
  }
}
