package dev.partita.vmbus;

import dev.partita.enlightenment.Enlightenment;
import dev.partita.hypervisor.CpuidTable;
import dev.partita.hypervisor.GuestMemory;
import dev.partita.hypervisor.Intercept;
import dev.partita.hypervisor.ManualTimeSource;
import dev.partita.hypervisor.Partition;
import dev.partita.hypervisor.PartitionConfiguration;
import dev.partita.hypervisor.ProcessorState;
import dev.partita.hypervisor.VirtualProcessor;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/// A partition of one processor whose guest is the test, as far as a bus needs one.
final class GuestMachine implements Partition {
  private static final long SIMP = 0x1000;
  private static final long SIEFP = 0x2000;
  private static final long HYPERCALL = 0x3000;
  private static final long BLOCK = 0x4000;
  private static final long SLOT = SIMP + 2 * 256;

  final GuestMemory memory = new GuestMemory(8 << 20);
  final Semaphore interrupts = new Semaphore(0);
  private final long[] general = new long[16];
  private final VirtualProcessor processor;
  private final PartitionConfiguration configuration;
  final Enlightenment enlightenment;

  GuestMachine() {
    processor =
        (VirtualProcessor)
            Proxy.newProxyInstance(
                getClass().getClassLoader(),
                new Class<?>[] {VirtualProcessor.class},
                (_, method, arguments) ->
                    switch (method.getName()) {
                      case "index", "privilegeLevel" -> 0;
                      case "readTsc" -> 0L;
                      case "mode" -> VirtualProcessor.Mode.LONG;
                      case "general" -> general[(int) arguments[0]];
                      case "setGeneral" -> {
                        general[(int) arguments[0]] = (long) arguments[1];
                        yield null;
                      }
                      default -> throw new UnsupportedOperationException(method.getName());
                    });
    var base = new CpuidTable(List.of(new CpuidTable.Leaf(1, -1, 0, 0, 0, 0)));
    configuration =
        new PartitionConfiguration(
            1,
            memory,
            base.with(Enlightenment.cpuidLeaves(base, 1)),
            1_000_000_000,
            new ManualTimeSource(0),
            _ -> {
              throw new UnsupportedOperationException();
            });
    enlightenment = new Enlightenment(this, 1_000_000, _ -> {});
    wrmsr(0x4000_0000, 1);
    wrmsr(0x4000_0001, HYPERCALL | 1);
    wrmsr(0x4000_0083, SIMP | 1);
    wrmsr(0x4000_0082, SIEFP | 1);
    wrmsr(0x4000_0092, 0xF3);
    wrmsr(0x4000_0080, 1);
  }

  void wrmsr(int index, long value) {
    var write = new Intercept.MsrWrite().prepare(index, value);
    enlightenment.handle(processor, write);
    if (!write.handled) {
      throw new AssertionError("MSR 0x%x refused".formatted(index));
    }
  }

  private long hypercall(long control, long input) {
    general[ProcessorState.RCX] = control;
    general[ProcessorState.RDX] = input;
    enlightenment.handle(processor, new Intercept.PortWrite().prepare(0xE0, 4, 0));
    return general[ProcessorState.RAX];
  }

  /// @return the hypercall's status
  synchronized long post(byte[] message) {
    memory.writeInt(BLOCK, 4);
    memory.writeInt(BLOCK + 8, 1);
    memory.writeInt(BLOCK + 12, message.length);
    memory.write(BLOCK + 16, message);
    return hypercall(0x5C, BLOCK);
  }

  /// Posts a message, and takes the answer.
  int[] ask(byte[] message) throws InterruptedException {
    if (post(message) != 0) {
      throw new AssertionError("refused");
    }
    return answer();
  }

  /// The next message from the host.
  int[] answer() throws InterruptedException {
    for (int i = 0; i < 1000; i++) {
      var message = fetch();
      if (message != null) {
        return message;
      }
      interrupts.tryAcquire(10, TimeUnit.MILLISECONDS);
    }
    throw new AssertionError("no answer");
  }

  synchronized int @Nullable [] fetch() {
    if (memory.readInt(SLOT) == 0) {
      return null;
    }
    int size = memory.readByte(SLOT + 4);
    var fields = GuestMessages.fields(memory.read(SLOT + 16, size & 0xFF));
    memory.writeInt(SLOT, 0);
    wrmsr(0x4000_0084, 0);
    return fields;
  }

  synchronized long signal(int relid) {
    return hypercall(0x1_005D, 0x2000 | relid);
  }

  /// Whether a channel's event flag was set; clears it.
  boolean takeFlag(int relid) {
    long address = SIEFP + 2 * 256 + (relid >> 5) * 4L;
    int flags = memory.readInt(address);
    memory.writeInt(address, flags & ~(1 << relid));
    return (flags & 1 << relid) != 0;
  }

  RingMemory ring(long... pages) {
    return new RingMemory(memory, pages);
  }

  @Override
  public PartitionConfiguration configuration() {
    return configuration;
  }

  @Override
  public List<VirtualProcessor> processors() {
    return new ArrayList<>(List.of(processor));
  }

  @Override
  public boolean hasLocalApics() {
    return true;
  }

  @Override
  public void signalMsi(long address, int data) {
    interrupts.release();
  }

  @Override
  public void setExternalInterrupt(boolean asserted) {}

  @Override
  public void close() {
    enlightenment.close();
    memory.close();
  }
}
