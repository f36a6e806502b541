package dev.partita.engine.software;

import dev.partita.hypervisor.Intercept;
import dev.partita.hypervisor.LocalApic;
import dev.partita.hypervisor.LocalApicBus;
import dev.partita.hypervisor.LocalApicState;
import dev.partita.hypervisor.VirtualProcessor;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ConcurrentLinkedQueue;

/// Local APICs that deliver the vectors a test gives them, in order, and keep what is written to
/// them.
final class ScriptedApics implements LocalApicBus {
  final List<Apic> apics = new ArrayList<>();

  @Override
  public LocalApic connect(VirtualProcessor processor) {
    var apic = new Apic(processor);
    apics.add(apic);
    return apic;
  }

  @Override
  public void signalMsi(long address, int data) {}

  @Override
  public void setExternalInterrupt(boolean asserted) {}

  @Override
  public void onEndOfInterrupt(EndOfInterruptListener listener) {}

  static final class Apic implements LocalApic {
    final VirtualProcessor processor;
    final ConcurrentLinkedQueue<Integer> pending = new ConcurrentLinkedQueue<>();
    final int[] page = new int[0x400];
    volatile long base;
    long deadline;
    int taskPriority;

    Apic(VirtualProcessor processor) {
      this.processor = processor;
      reset();
    }

    /// Raises an interrupt; {@link #EXTERNAL} asks for the vector by an intercept.
    void raise(int vector) {
      pending.add(vector);
      processor.interruptRequested();
    }

    @Override
    public boolean interruptPending() {
      return !pending.isEmpty();
    }

    @Override
    public int acknowledge() {
      Integer vector = pending.poll();
      return vector == null ? -1 : vector;
    }

    @Override
    public long apicBase() {
      return base;
    }

    @Override
    public boolean setApicBase(long value) {
      if ((value & 0xFF) != 0) {
        return false;
      }
      base = value;
      return true;
    }

    @Override
    public int readMmio(int offset) {
      return page[offset >> 2];
    }

    @Override
    public void writeMmio(int offset, int value) {
      page[offset >> 2] = value;
    }

    /// x2APIC registers are there in x2APIC mode only.
    @Override
    public boolean readMsr(int index, Intercept.MsrRead into) {
      if ((base & 0xC00) != 0xC00) {
        return false;
      }
      into.answer(page[(index - 0x800) * 4]);
      return true;
    }

    @Override
    public boolean writeMsr(int index, long value) {
      if ((base & 0xC00) != 0xC00) {
        return false;
      }
      page[(index - 0x800) * 4] = (int) value;
      return true;
    }

    @Override
    public long tscDeadline() {
      return deadline;
    }

    @Override
    public void setTscDeadline(long value) {
      deadline = value;
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
      base = 0xFEE0_0800L | (processor.index() == 0 ? 0x100 : 0);
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
