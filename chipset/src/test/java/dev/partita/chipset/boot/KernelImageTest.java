package dev.partita.chipset.boot;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.partita.hypervisor.GuestMemory;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class KernelImageTest {
  private static final long LIMIT = 64 << 20;
  private static final byte[] ELF = TestKernel.elf64(TestKernel.BASE, -1);

  private static void assertRefused(byte[] file, String... parts) {
    assertThatThrownBy(() -> KernelImage.parse(file, LIMIT))
        .isInstanceOf(BootException.class)
        .hasMessageContainingAll(parts)
        .hasMessageNotContaining("\n");
  }

  @ParameterizedTest
  @EnumSource
  void bzImageOfEveryFormHasTheKernelInside(Packer packer) {
    assumeTrue(packer.available());
    var image = KernelImage.parse(TestKernel.bzImage(packer.pack(ELF)), LIMIT);
    assertThat(image.protocol()).isEqualTo(KernelImage.Protocol.LINUX_64);
    assertThat(image.version()).isEqualTo("6.1.0-test (builder) #1 SMP");
    assertThat(image.elf().file().array()).isEqualTo(ELF);
    assertThat(image.elf().entry()).isEqualTo(TestKernel.BASE);
    // pref_address and init_size are beyond the segments.
    assertThat(image.end()).isEqualTo(TestKernel.BASE + 0x20_0000);
  }

  @Test
  void elfWithPvhNoteIsEnteredThere() {
    for (var file :
        List.of(
            TestKernel.elf64(TestKernel.BASE, TestKernel.BASE + 0x40),
            TestKernel.elf32(TestKernel.BASE, TestKernel.BASE + 0x40))) {
      var image = KernelImage.parse(file, LIMIT);
      assertThat(image.protocol()).isEqualTo(KernelImage.Protocol.PVH);
      assertThat(image.elf().pvhEntry()).isEqualTo(TestKernel.BASE + 0x40);
      assertThat(image.version()).isEmpty();
    }
  }

  @Test
  void elf64WithoutPvhNoteIsEnteredInLongMode() {
    var image = KernelImage.parse(ELF, LIMIT);
    assertThat(image.protocol()).isEqualTo(KernelImage.Protocol.LINUX_64);
    assertThat(image.elf().segments()).hasSize(2);
    assertThat(image.end())
        .isEqualTo(TestKernel.DATA_ADDRESS + TestKernel.DATA_SIZE + TestKernel.BSS_SIZE);
  }

  @Test
  void elf32WithoutPvhNoteIsRefused() {
    assertRefused(TestKernel.elf32(TestKernel.BASE, -1), "32-bit", "PVH");
  }

  @Test
  void whatIsNoKernelIsRefused() {
    assertRefused(new byte[0], "not a kernel");
    assertRefused(new byte[] {0x7F, 'E', 'L'}, "not a kernel");
    assertRefused(new byte[10_000], "not a kernel");
    assertRefused("#!/bin/sh\n".repeat(1000).getBytes(), "not a kernel");
  }

  @Test
  void tooOldKernelIsRefused() {
    var file = TestKernel.bzImage(Packer.GZIP.pack(ELF), 0x207);
    assertRefused(file, "too old", "2.07", "2.08");
  }

  @Test
  void kernelWithoutPreferredAddressIsTakenByItsSegments() {
    var image = KernelImage.parse(TestKernel.bzImage(Packer.GZIP.pack(ELF), 0x208), LIMIT);
    assertThat(image.end()).isEqualTo(image.elf().highest());
  }

  @Test
  void kernelsThatAreNot64BitAreRefused() {
    var file = TestKernel.bzImage(Packer.GZIP.pack(ELF));
    assertRefused(TestKernel.patch(file, SetupHeader.XLOAD_FLAGS, 0, 2), "32-bit");
    var small = TestKernel.elf32(TestKernel.BASE, TestKernel.BASE);
    assertRefused(TestKernel.bzImage(Packer.GZIP.pack(small)), "32-bit");
    assertRefused(TestKernel.patch(file, SetupHeader.LOAD_FLAGS, 0, 1), "zImage");
  }

  @Test
  void truncatedFilesAreRefused() {
    var file = TestKernel.bzImage(Packer.GZIP.pack(ELF));
    assertRefused(Arrays.copyOf(file, 0x230), "truncated");
    assertRefused(Arrays.copyOf(file, 0x1000), "truncated");
    assertRefused(Arrays.copyOf(ELF, 60), "truncated");
    assertRefused(Arrays.copyOf(ELF, 0x3000), "truncated");
  }

  @Test
  void payloadThatIsNoElfIsRefused() {
    assertRefused(TestKernel.bzImage(Packer.GZIP.pack(new byte[5000])), "not an ELF image");
    assertRefused(TestKernel.bzImage(new byte[5000]), "unknown form");
    assertRefused(TestKernel.bzImage(new byte[0]), "no payload");
  }

  @Test
  void elfForAnotherMachineOrPurposeIsRefused() {
    assertRefused(TestKernel.patch(ELF, 18, 183, 2), "another kind of processor");
    assertRefused(TestKernel.patch(ELF, 5, 2, 1), "another kind of processor");
    assertRefused(TestKernel.patch(ELF, 4, 3, 1), "unknown class");
    assertRefused(TestKernel.patch(ELF, 16, 1, 2), "not an executable");
    assertRefused(TestKernel.patch(ELF, 54, 8, 2), "program headers");
    assertRefused(TestKernel.patch(ELF, 56, 0, 2), "nothing to load");
  }

  @Test
  void impossibleSegmentsAreRefused() {
    int first = 64;
    assertRefused(TestKernel.patch(ELF, first + 8, -1, 8), "truncated");
    assertRefused(TestKernel.patch(ELF, first + 32, 1L << 40, 8), "truncated");
    assertRefused(TestKernel.patch(ELF, first + 40, 1, 8), "impossible size");
    assertRefused(TestKernel.patch(ELF, first + 40, 1L << 62, 8), "impossible size");
    assertRefused(TestKernel.patch(ELF, first + 24, -4096, 8), "impossible");
  }

  @Test
  void fileThatCannotBeReadIsNamed(@TempDir Path directory) {
    var missing = directory.resolve("vmlinuz");
    assertThatThrownBy(() -> KernelImage.read(missing, LIMIT))
        .isInstanceOf(BootException.class)
        .hasMessageContaining("vmlinuz");
  }

  /// However a kernel is damaged, reading and loading it end well or in BootException.
  @Test
  void damagedKernelsEndInOneKindOfException() {
    var kernels = new ArrayList<byte[]>();
    for (var packer : List.of(Packer.NONE, Packer.GZIP, Packer.LZ4, Packer.ZSTD, Packer.LZO)) {
      kernels.add(TestKernel.bzImage(packer.pack(ELF)));
    }
    kernels.add(TestKernel.elf64(TestKernel.BASE, TestKernel.BASE + 0x40));
    kernels.add(TestKernel.elf32(TestKernel.BASE, TestKernel.BASE + 0x40));
    kernels.add(ELF);
    // Where the headers are, so that damage does not vanish in the contents.
    int[] hot = {0, SetupHeader.START, SetupHeader.START, 0x800 + 0x2CC, 0x2CC + 0x800 + 64};
    var random = new Random(42);
    int loaded = 0;
    int refused = 0;
    try (var memory = new GuestMemory(32 << 20)) {
      for (int round = 0; round < 40_000; round++) {
        var file = kernels.get(random.nextInt(kernels.size())).clone();
        for (int i = random.nextInt(1, 5); i > 0; i--) {
          int base = hot[random.nextInt(hot.length)];
          int at = Math.min(base + random.nextInt(200), file.length - 8);
          long value =
              switch (random.nextInt(4)) {
                case 0 -> random.nextLong();
                case 1 -> -1L << random.nextInt(64);
                case 2 -> 1L << random.nextInt(64);
                default -> random.nextInt(256);
              };
          file = TestKernel.patch(file, at, value, 1 << random.nextInt(4));
        }
        if (random.nextInt(10) == 0) {
          file = Arrays.copyOf(file, random.nextInt(file.length));
        }
        try {
          var image = KernelImage.parse(file, memory.size());
          DirectBoot.load(image, BootOptions.of("x").withRsdp(0xE0000), memory);
          loaded++;
        } catch (BootException e) {
          refused++;
          assertThat(e.getMessage()).isNotBlank();
        }
      }
    }
    assertThat(loaded).isGreaterThan(1000);
    assertThat(refused).isGreaterThan(1000);
  }

  /// A real kernel, named by the system property `partita.test.kernel`, against the program that
  /// unpacks its form.
  @Test
  void realKernelUnpacksToWhatThePackersOwnProgramGives() throws IOException {
    var property = System.getProperty("partita.test.kernel");
    assumeTrue(property != null);
    var file = Files.readAllBytes(Path.of(property));
    var image = KernelImage.parse(file, 1 << 30);
    assertThat(image.version()).isNotEmpty();
    var header = SetupHeader.parse(new Bytes(file, "kernel"));
    int start = (int) header.payloadOffset();
    int end = start + (int) header.payloadLength();
    var form = Payload.Form.of(file, start, end);
    var program =
        switch (form) {
          case ELF -> "cat";
          case GZIP -> "gzip";
          case LZO -> "lzop";
          default -> form.label;
        };
    assumeTrue(Program.installed(program));
    int trailer = form == Payload.Form.GZIP || form == Payload.Form.ELF ? 0 : 4;
    var packed = Arrays.copyOfRange(file, start, end - trailer);
    var expected = program.equals("cat") ? packed : Program.filter(packed, program, "-d", "-c");
    assertThat(Arrays.equals(image.elf().file().array(), expected)).isTrue();
  }
}
