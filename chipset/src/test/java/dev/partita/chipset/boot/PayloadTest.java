package dev.partita.chipset.boot;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.EnumSource.Mode;

class PayloadTest {
  private static final long LIMIT = 64 << 20;

  private static byte[] unpack(byte[] payload) {
    return Payload.unpack(payload, 0, payload.length, LIMIT);
  }

  private static byte[] random(int size) {
    var bytes = new byte[size];
    new Random(size).nextBytes(bytes);
    return bytes;
  }

  @ParameterizedTest
  @EnumSource(mode = Mode.EXCLUDE, names = "NONE")
  void everyFormGivesBackWhatWasPacked(Packer packer) {
    assumeTrue(packer.available());
    byte[][] samples = {
      {1},
      {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
      new byte[1 << 20],
      random(200_000),
      TestKernel.contents(300, 3),
      TestKernel.contents(70_000, 4),
      TestKernel.contents(1_000_000, 5),
    };
    for (var sample : samples) {
      assertThat(unpack(packer.pack(sample)))
          .as("%s of %d bytes", packer, sample.length)
          .isEqualTo(sample);
    }
  }

  /// More than one block of the legacy LZ4 frame (8 MiB), and matches that reach back further than
  /// the window of most decoders.
  @ParameterizedTest
  @EnumSource(names = {"LZ4", "LZ4_PROGRAM", "ZSTD_22_PROGRAM", "XZ_PROGRAM", "GZIP", "LZO"})
  void largeImagesComeThrough(Packer packer) {
    assumeTrue(packer.available());
    var piece = TestKernel.contents(500_000, 6);
    var sample = new byte[20 << 20];
    System.arraycopy(piece, 0, sample, 0, piece.length);
    System.arraycopy(random(2 << 20), 0, sample, 9 << 20, 2 << 20);
    System.arraycopy(piece, 0, sample, sample.length - piece.length, piece.length);
    assertThat(unpack(packer.pack(sample))).isEqualTo(sample);
  }

  @Test
  void elfImageIsTakenAsItIs() {
    var elf = TestKernel.elf64(TestKernel.BASE, -1);
    assertThat(unpack(elf)).isEqualTo(elf);
  }

  @Test
  void unknownFormIsRefused() {
    assertThatThrownBy(() -> unpack(new byte[] {1, 2, 3, 4, 5, 6}))
        .isInstanceOf(BootException.class)
        .hasMessageContaining("01 02 03 04");
  }

  @Test
  void sizeOverTheLimitIsRefusedBeforeUnpacking() {
    var payload = Packer.GZIP.pack(new byte[3 << 20]);
    assertThatThrownBy(() -> Payload.unpack(payload, 0, payload.length, 2 << 20))
        .isInstanceOf(BootException.class)
        .hasMessageContaining("unpacks to 3 MiB")
        .hasMessageContaining("2 MiB of RAM");
  }

  @ParameterizedTest
  @EnumSource(mode = Mode.EXCLUDE, names = "NONE")
  void contentOtherThanTheSizeSaysIsRefused(Packer packer) {
    assumeTrue(packer.available());
    var payload = packer.pack(TestKernel.contents(50_000, 8));
    for (int size : new int[] {0, 1, 49_999, 50_001, 100_000, 1 << 20}) {
      var changed = TestKernel.patch(payload, payload.length - 4, size, 4);
      assertThatThrownBy(() -> unpack(changed))
          .as("%s, %d bytes announced", packer, size)
          .isInstanceOf(BootException.class);
    }
  }

  @ParameterizedTest
  @EnumSource(mode = Mode.EXCLUDE, names = "NONE")
  void everyTruncationIsRefused(Packer packer) {
    assumeTrue(packer.available());
    var payload = packer.pack(TestKernel.contents(3_000, 9));
    int step = Math.max(1, payload.length / 60);
    for (int length = 0; length < payload.length - 4; length += step) {
      // The size stays, so that only what is before it is cut.
      var cut = Arrays.copyOf(payload, length + 4);
      System.arraycopy(payload, payload.length - 4, cut, length, 4);
      assertThatThrownBy(() -> unpack(cut))
          .as("%s of %d bytes cut to %d", packer, payload.length, length)
          .isInstanceOf(BootException.class);
    }
  }

  /// Never anything but BootException, however the payload is damaged.
  @ParameterizedTest
  @EnumSource(mode = Mode.EXCLUDE, names = "NONE")
  void damageEndsInOneKindOfException(Packer packer) {
    assumeTrue(packer.available());
    var random = new Random(packer.ordinal());
    var original = TestKernel.contents(4_000, 10);
    var payload = packer.pack(original);
    int refused = 0;
    // Those of libraries have been through this elsewhere, and some are slow to start.
    boolean own = packer.name().matches("(LZ|ZSTD).*") && !packer.name().startsWith("LZMA");
    int rounds = own ? 3000 : 100;
    for (int round = 0; round < rounds; round++) {
      var damaged = payload.clone();
      for (int i = random.nextInt(1, 4); i > 0; i--) {
        int at =
            random.nextBoolean()
                ? random.nextInt(Math.min(64, payload.length))
                : random.nextInt(payload.length);
        damaged[at] =
            (byte) (random.nextBoolean() ? random.nextInt() : damaged[at] ^ 1 << random.nextInt(8));
      }
      try {
        assertThat(unpack(damaged)).hasSizeLessThan((int) LIMIT + 1);
      } catch (BootException e) {
        refused++;
        assertThat(e.getMessage()).doesNotContain("\n");
      }
    }
    // Without a checksum some damage goes unseen, but not most of it.
    assertThat(refused).isGreaterThan(rounds / 6);
  }

  /// Known values of XXH64 with seed 0. Longer inputs are checked by frames of the `zstd` program.
  @Test
  void checksumIsXxHash64() {
    assertThat(ZstdFrame.xxHash64(new byte[0])).isEqualTo(0xEF46DB3751D8E999L);
    assertThat(ZstdFrame.xxHash64("a".getBytes(StandardCharsets.US_ASCII)))
        .isEqualTo(0xD24EC4F1A98C6E5BL);
    assertThat(ZstdFrame.xxHash64("abc".getBytes(StandardCharsets.US_ASCII)))
        .isEqualTo(0x44BC2CF5AD770999L);
  }
}
