package dev.partita.synthetic.integration;

import dev.partita.enlightenment.Enlightenment;
import dev.partita.hypervisor.CpuidTable;
import dev.partita.hypervisor.GuestMemory;
import dev.partita.hypervisor.Intercept;
import dev.partita.hypervisor.ManualTimeSource;
import dev.partita.hypervisor.Partition;
import dev.partita.hypervisor.PartitionConfiguration;
import dev.partita.hypervisor.ProcessorState;
import dev.partita.hypervisor.VirtualProcessor;
import dev.partita.vmbus.Vmbus;
import dev.partita.vmbus.VmbusDevice;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;

/// A partition whose guest is the test: a driver that has opened the channel of the only device.
final class DriverMachine implements Partition {
  private static final long SIMP = 0x1000;
  private static final long SIEFP = 0x2000;
  private static final long BLOCK = 0x4000;
  private static final long SLOT = SIMP + 2 * 256;
  private static final int FIRST_PAGE = 16;

  final ManualTimeSource time = new ManualTimeSource(1_700_000_000_000_000_000L);
  final GuestMemory memory = new GuestMemory(1 << 20);
  private final Semaphore interrupts = new Semaphore(0);
  private final long[] general = new long[16];
  private final VirtualProcessor processor;
  private final PartitionConfiguration configuration;
  private final Enlightenment enlightenment;
  final Vmbus bus;
  private final DriverRing ring;

  DriverMachine() {
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
                      case "setGeneral" -> null;
                      default -> throw new UnsupportedOperationException(method.getName());
                    });
    var base = new CpuidTable(List.of(new CpuidTable.Leaf(1, -1, 0, 0, 0, 0)));
    configuration =
        new PartitionConfiguration(
            1,
            memory,
            base.with(Enlightenment.cpuidLeaves(base, 1)),
            1_000_000_000,
            time,
            _ -> {
              throw new UnsupportedOperationException();
            });
    enlightenment = new Enlightenment(this, 1_000_000, _ -> {});
    wrmsr(0x4000_0000, 1);
    wrmsr(0x4000_0001, 0x3001);
    wrmsr(0x4000_0083, SIMP | 1);
    wrmsr(0x4000_0082, SIEFP | 1);
    wrmsr(0x4000_0092, 0xF3);
    wrmsr(0x4000_0080, 1);
    bus = Vmbus.connect(memory, enlightenment.synic());
    ring = new DriverRing(memory, FIRST_PAGE * 4096L, (FIRST_PAGE + 2) * 4096L);
  }

  private void wrmsr(int index, long value) {
    enlightenment.handle(processor, new Intercept.MsrWrite().prepare(index, value));
  }

  private void hypercall(long control, long input) {
    general[ProcessorState.RCX] = control;
    general[ProcessorState.RDX] = input;
    enlightenment.handle(processor, new Intercept.PortWrite().prepare(0xE0, 4, 0));
  }

  private void post(int type, int size, int... fields) {
    var message = ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
    message.putInt(type).putInt(0);
    for (int field : fields) {
      message.putInt(field);
    }
    memory.writeInt(BLOCK, 4);
    memory.writeInt(BLOCK + 8, 1);
    memory.writeInt(BLOCK + 12, size);
    memory.write(BLOCK + 16, message.array());
    hypercall(0x5C, BLOCK);
  }

  private void expect(int type) throws InterruptedException {
    for (int i = 0; memory.readInt(SLOT) == 0 && i < 1000; i++) {
      interrupts.tryAcquire(10, TimeUnit.MILLISECONDS);
    }
    if (memory.readInt(SLOT) == 0 || memory.readInt(SLOT + 16) != type) {
      throw new AssertionError("no message of type " + type);
    }
    memory.writeInt(SLOT, 0);
    wrmsr(0x4000_0084, 0);
  }

  /// Attaches a device, finds it, and opens its channel.
  void open(VmbusDevice device) throws InterruptedException {
    bus.attach(device);
    post(14, 40, 5 << 16 | 3, 0, 2);
    expect(15);
    post(3, 8);
    expect(1);
    expect(4);
    int page = FIRST_PAGE;
    post(8, 60, 1, 7, 1 << 16 | 40, 4 * 4096, 0, page, 0, page + 1, 0, page + 2, 0, page + 3, 0);
    expect(10);
    post(5, 148, 1, 1, 7, 0, 2);
    expect(6);
  }

  /// Closes the channel and waits until the device has let go.
  void closeChannel() throws InterruptedException {
    post(7, 12, 1);
    post(11, 16, 1, 7);
    expect(12);
  }

  /// Sends a packet.
  void send(byte[] payload) {
    ring.write(payload);
    hypercall(0x1_005D, 0x2001);
  }

  /// Whether the device has read all that was sent.
  boolean allRead() {
    return ring.allRead();
  }

  /// The next packet from the device.
  byte[] receive() throws InterruptedException {
    for (int i = 0; i < 1000; i++) {
      var payload = ring.read();
      if (payload != null) {
        return payload;
      }
      interrupts.tryAcquire(10, TimeUnit.MILLISECONDS);
    }
    throw new AssertionError("no packet");
  }

  /// The driver's agreement: framework 3.0 and a version.
  void negotiate(int major, int minor) throws InterruptedException {
    var answer = ByteBuffer.wrap(receive()).order(ByteOrder.LITTLE_ENDIAN);
    if (answer.getShort(12) != 0) {
      throw new AssertionError("not a negotiation");
    }
    answer.put(27, (byte) 0).putShort(28, (short) 1).putShort(30, (short) 1);
    answer.put(25, (byte) 5);
    answer.putShort(36, (short) 3).putShort(38, (short) 0);
    answer.putShort(40, (short) major).putShort(42, (short) minor);
    send(answer.array());
  }

  /// Answers a request, as a driver does: with the request's own bytes.
  void answer(ByteBuffer request, int status) {
    var answer = ByteBuffer.wrap(request.array().clone()).order(ByteOrder.LITTLE_ENDIAN);
    send(answer.putInt(20, status).put(25, (byte) 5).array());
  }

  @Override
  public PartitionConfiguration configuration() {
    return configuration;
  }

  @Override
  public List<VirtualProcessor> processors() {
    return List.of(processor);
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
    bus.close();
    enlightenment.close();
    memory.close();
  }
}
