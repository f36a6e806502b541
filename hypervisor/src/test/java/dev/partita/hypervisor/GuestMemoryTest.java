package dev.partita.hypervisor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class GuestMemoryTest {
  private static final long MIB = 1 << 20;

  @Test
  void ramIsZeroAndReadsBackWhatWasWritten() {
    try (var memory = new GuestMemory(4 * MIB)) {
      assertThat(memory.readLong(2 * MIB)).isZero();
      memory.writeLong(2 * MIB + 3, 0x1122_3344_5566_7788L);
      assertThat(memory.readLong(2 * MIB + 3)).isEqualTo(0x1122_3344_5566_7788L);
      assertThat(memory.readByte(2 * MIB + 3)).as("little-endian").isEqualTo((byte) 0x88);
      assertThat(memory.readInt(2 * MIB + 7)).isEqualTo(0x1122_3344);
      assertThat(memory.readShort(2 * MIB + 9)).isEqualTo((short) 0x1122);
    }
  }

  @Test
  void ramBeyondTheHoleGoesOnAtFourGibibytes() {
    try (var memory = new GuestMemory(4096 * MIB)) {
      assertThat(memory.regions())
          .containsExactly(
              new GuestMemory.Region(0, 0xC000_0000L, 0),
              new GuestMemory.Region(0x1_0000_0000L, 0x4000_0000L, 0xC000_0000L));
      assertThat(memory.offset(0xC000_0000L)).isEqualTo(-1);
      assertThat(memory.offset(0xFFFF_FFFFL)).isEqualTo(-1);
      assertThat(memory.offset(0x1_0000_0000L)).isEqualTo(0xC000_0000L);
      assertThat(memory.contains(0xBFFF_FFFFL, 1)).isTrue();
      assertThat(memory.contains(0xBFFF_FFFFL, 2)).as("into the hole").isFalse();
      assertThat(memory.contains(0x1_3FFF_FFFFL, 1)).isTrue();
      assertThat(memory.contains(0x1_4000_0000L, 0)).isFalse();
      memory.writeByte(0x1_3FFF_FFFFL, (byte) 7);
      assertThat(memory.readByte(0x1_3FFF_FFFFL)).isEqualTo((byte) 7);
    }
  }

  @Test
  void accessOutsideRamIsRefused() {
    try (var memory = new GuestMemory(MIB)) {
      assertThatThrownBy(() -> memory.readInt(MIB - 2))
          .isInstanceOf(IndexOutOfBoundsException.class)
          .hasMessageContaining("0xffffe");
      assertThatThrownBy(() -> memory.writeByte(-1, (byte) 0))
          .isInstanceOf(IndexOutOfBoundsException.class);
      assertThatThrownBy(() -> memory.read(0, -1)).isInstanceOf(RuntimeException.class);
      assertThat(memory.contains(Long.MAX_VALUE, Long.MAX_VALUE)).isFalse();
      assertThat(memory.contains(0, Long.MAX_VALUE)).isFalse();
    }
  }

  @Test
  void dirtyPagesAreThoseWrittenSinceTheLastCall() {
    try (var memory = new GuestMemory(4 * MIB)) {
      memory.writeByte(0, (byte) 1);
      memory.setTracking(true);
      assertThat(memory.takeDirty()).containsOnly(0L);
      memory.writeLong(70 * 4096 - 4, -1);
      var taken = memory.takeDirty();
      assertThat(taken[1]).as("pages 69 and 70").isEqualTo(3L << 5);
      assertThat(taken[0]).isZero();
      assertThat(memory.takeDirty()).containsOnly(0L);
      memory.setTracking(false);
      memory.writeByte(0, (byte) 1);
      memory.setTracking(true);
      assertThat(memory.takeDirty()).containsOnly(0L);
    }
  }

  @Test
  void observersHearOfDeviceWrites() {
    try (var memory = new GuestMemory(4 * MIB)) {
      List<Long> heard = new ArrayList<>();
      GuestMemory.WriteObserver observer = (offset, length) -> heard.add(offset * 100 + length);
      memory.addWriteObserver(observer);
      memory.write(0x1000, new byte[5]);
      memory.removeWriteObserver(observer);
      memory.write(0x1000, new byte[6]);
      assertThat(heard).containsExactly(0x1000 * 100L + 5);
    }
  }

  @Test
  void impossibleSizesAreRefused() {
    assertThatThrownBy(() -> new GuestMemory(MIB + 1)).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> new GuestMemory(4096)).isInstanceOf(IllegalArgumentException.class);
  }

  /// What a source marks before the pages are taken is in the answer; what it marks when it hears
  /// that they have been taken, in the next.
  @Test
  void sourcesBringTheirPagesBeforeAndLookAnewAfterwards() {
    try (var memory = new GuestMemory(1 << 20)) {
      memory.setTracking(true);
      memory.addDirtySource(
          new GuestMemory.DirtySource() {
            @Override
            public void trackingChanged(boolean on) {}

            @Override
            public void collect() {
              memory.markDirty(0x3000, 1);
            }

            @Override
            public void taken() {
              memory.markDirty(0x5000, 1);
            }
          });
      assertThat(memory.takeDirty()[0]).isEqualTo(1 << 3);
      assertThat(memory.takeDirty()[0]).isEqualTo(1 << 3 | 1 << 5);
    }
  }
}
