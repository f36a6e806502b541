package dev.partita.chipset.bus;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.partita.chipset.TestProcessor;
import dev.partita.hypervisor.ManualTimeSource;
import dev.partita.hypervisor.VirtualProcessor;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class BusTest {
  private final VirtualProcessor cpu = new TestProcessor(0, new ManualTimeSource(0), 1_000_000);
  private final PortBus ports = new PortBus();
  private final MmioBus mmio = new MmioBus();
  private final List<String> log = new ArrayList<>();

  private PortDevice device(String name, int widest) {
    return new PortDevice() {
      @Override
      public int readPort(int port, int size) {
        return 0xFFFF_FF00 | port & 0xFF;
      }

      @Override
      public void writePort(int port, int size, int value) {
        log.add("%s %x/%d=%x".formatted(name, port, size, value));
      }

      @Override
      public int widestAccess() {
        return widest;
      }
    };
  }

  @Test
  void unclaimedPortsReadAllOnes() {
    assertThat(ports.read(cpu, 0x1234, 1)).isEqualTo(0xFF);
    assertThat(ports.read(cpu, 0x1234, 2)).isEqualTo(0xFFFF);
    assertThat(ports.read(cpu, 0x1234, 4)).isEqualTo(-1);
    ports.write(cpu, 0x1234, 4, 5);
  }

  @Test
  void wideAccessesToNarrowDevicesAreSplit() {
    ports.claim(0x10, 2, device("a", 1));
    ports.claim(0x12, 2, device("b", 2));
    ports.write(cpu, 0x10, 4, 0x44332211);
    assertThat(log).containsExactly("a 10/1=11", "a 11/1=22", "b 12/1=33", "b 13/1=44");
    assertThat(ports.read(cpu, 0x10, 4)).isEqualTo(0x13121110);
    log.clear();
    ports.write(cpu, 0x12, 2, 0xAABBCCDD);
    assertThat(log).containsExactly("b 12/2=ccdd");
    assertThat(ports.read(cpu, 0x12, 1)).isEqualTo(0x12);
    assertThat(ports.read(cpu, 0x13, 4)).isEqualTo(0xFFFF_FF13);
  }

  @Test
  void accessesAtTheLastPortWrapAround() {
    ports.claim(0xFFFF, 1, device("last", 1));
    ports.claim(0, 1, device("first", 1));
    ports.write(cpu, 0xFFFF, 2, 0x2211);
    assertThat(log).containsExactly("last ffff/1=11", "first 0/1=22");
  }

  @Test
  void aPortHasOneDevice() {
    var device = device("a", 1);
    ports.claim(0x10, 2, device);
    assertThatThrownBy(() -> ports.claim(0x0F, 2, device("b", 1)))
        .isInstanceOf(IllegalStateException.class);
    assertThat(ports.read(cpu, 0x0F, 1)).isEqualTo(0xFF);
    ports.release(device);
    assertThat(ports.read(cpu, 0x10, 1)).isEqualTo(0xFF);
    ports.claim(0x0F, 2, device("b", 1));
    assertThatThrownBy(() -> ports.claim(0xFFFF, 2, device))
        .isInstanceOf(IllegalArgumentException.class);
  }

  private MmioDevice memory(long base) {
    return new MmioDevice() {
      @Override
      public long readMmio(long offset, int size) {
        return base + offset;
      }

      @Override
      public void writeMmio(long offset, int size, long value) {
        log.add("%x %x/%d=%x".formatted(base, offset, size, value));
      }
    };
  }

  @Test
  void mmioFindsTheDeviceOfAnAddress() {
    var second = memory(0x2000);
    mmio.claim(0xF000_0000L, 0x1000, memory(0x1000));
    mmio.claim(0x10_0000_0000L, 0x10, second);
    mmio.claim(0xE000_0000L, 0x1000, memory(0x3000));
    assertThat(mmio.read(0xF000_0004L, 4)).isEqualTo(0x1004);
    assertThat(mmio.read(0xF000_0FFFL, 1)).isEqualTo(0x1FFF);
    assertThat(mmio.read(0xF000_1000L, 4)).isEqualTo(-1);
    assertThat(mmio.read(0xEFFF_FFFFL, 4)).isEqualTo(-1);
    assertThat(mmio.read(-1, 8)).isEqualTo(-1);
    mmio.write(0x10_0000_0008L, 8, 5);
    assertThat(log).containsExactly("2000 8/8=5");
    mmio.release(second);
    assertThat(mmio.read(0x10_0000_0008L, 8)).isEqualTo(-1);
    assertThatThrownBy(() -> mmio.claim(0xF000_0FFFL, 2, second))
        .isInstanceOf(IllegalStateException.class);
  }
}
