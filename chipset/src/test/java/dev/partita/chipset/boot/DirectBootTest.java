package dev.partita.chipset.boot;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.partita.hypervisor.GuestMemory;
import dev.partita.hypervisor.ProcessorState;
import dev.partita.hypervisor.ProcessorState.Segment;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DirectBootTest {
  private static final byte[] BZ_IMAGE =
      TestKernel.bzImage(Packer.LZ4.pack(TestKernel.elf64(TestKernel.BASE, -1)));
  private static final long ZERO_PAGE = 0x7000;

  private static KernelImage linux() {
    return KernelImage.parse(BZ_IMAGE, 64 << 20);
  }

  private static KernelImage pvh() {
    return KernelImage.parse(TestKernel.elf64(TestKernel.BASE, TestKernel.BASE + 0x40), 64 << 20);
  }

  /// RAM as an earlier run left it.
  private static GuestMemory usedMemory(long size) {
    var memory = new GuestMemory(size);
    memory.slice(0, memory.regions().getFirst().size()).fill((byte) 0xA5);
    return memory;
  }

  private static String text(GuestMemory memory, long address) {
    var text = new StringBuilder();
    for (long at = address; memory.readByte(at) != 0; at++) {
      text.append((char) memory.readByte(at));
    }
    return text.toString();
  }

  @Test
  void segmentsAreInPlaceAndTheirRestIsZero() {
    try (var memory = usedMemory(32 << 20)) {
      var loaded = DirectBoot.load(linux(), BootOptions.of(""), memory);
      assertThat(memory.read(TestKernel.BASE, TestKernel.TEXT_SIZE)).isEqualTo(TestKernel.text());
      assertThat(memory.read(TestKernel.DATA_ADDRESS, TestKernel.DATA_SIZE))
          .isEqualTo(TestKernel.data());
      assertThat(memory.read(TestKernel.DATA_ADDRESS + TestKernel.DATA_SIZE, TestKernel.BSS_SIZE))
          .containsOnly(0);
      assertThat(loaded.kernelStart()).isEqualTo(TestKernel.BASE);
      assertThat(loaded.kernelEnd()).isEqualTo(TestKernel.BASE + 0x20_0000);
      assertThat(loaded.initrdStart()).isZero();
    }
  }

  @Test
  void bootParametersHaveHeaderCommandLineAndTables() {
    try (var memory = usedMemory(32 << 20)) {
      var seed = new byte[32];
      new Random(1).nextBytes(seed);
      var options =
          BootOptions.of("console=ttyS0 root=/dev/sda1 ü").withRsdp(0xE_0040).withRandomSeed(seed);
      var loaded = DirectBoot.load(linux(), options, memory);
      assertThat(loaded.bootProcessor().general()[ProcessorState.RSI]).isEqualTo(ZERO_PAGE);
      assertThat(memory.readShort(ZERO_PAGE + 0x1FE)).isEqualTo((short) 0xAA55);
      assertThat(memory.readInt(ZERO_PAGE + 0x202)).isEqualTo(0x5372_6448);
      assertThat(memory.readShort(ZERO_PAGE + 0x206)).isEqualTo((short) 0x20F);
      assertThat(memory.readByte(ZERO_PAGE + 0x210)).as("loader").isEqualTo((byte) 0xFF);
      assertThat(memory.readByte(ZERO_PAGE + 0x211)).as("flags").isEqualTo((byte) 1);
      assertThat(memory.readLong(ZERO_PAGE + 0x258)).as("pref").isEqualTo(TestKernel.BASE);
      assertThat(memory.readLong(ZERO_PAGE + 0x70)).as("RSDP").isEqualTo(0xE_0040);
      assertThat(memory.readByte(ZERO_PAGE + 0x1EF)).as("sentinel").isZero();
      assertThat(memory.readInt(ZERO_PAGE + 0xC8)).as("high command line").isZero();
      long commandLine = memory.readInt(ZERO_PAGE + 0x228);
      byte[] expected = "console=ttyS0 root=/dev/sda1 ü\0".getBytes(StandardCharsets.UTF_8);
      assertThat(memory.read(commandLine, expected.length)).isEqualTo(expected);
      // Nothing of the earlier run is left where the header has no fields.
      assertThat(memory.read(ZERO_PAGE, 0x70)).containsOnly(0);
      assertThat(memory.read(ZERO_PAGE + 0x26C, 0x2D0 - 0x26C)).containsOnly(0);

      long data = memory.readLong(ZERO_PAGE + 0x250);
      assertThat(memory.readLong(data)).as("next").isZero();
      assertThat(memory.readInt(data + 8)).as("SETUP_RNG_SEED").isEqualTo(9);
      assertThat(memory.readInt(data + 12)).isEqualTo(32);
      assertThat(memory.read(data + 16, 32)).isEqualTo(seed);
    }
  }

  @Test
  void withoutSeedThereIsNoSetupData() {
    try (var memory = usedMemory(32 << 20)) {
      DirectBoot.load(linux(), BootOptions.of(""), memory);
      assertThat(memory.readLong(ZERO_PAGE + 0x250)).isZero();
    }
  }

  private record E820(long address, long size, int type) {}

  private static List<E820> e820(GuestMemory memory) {
    var map = new ArrayList<E820>();
    for (int i = 0; i < memory.readByte(ZERO_PAGE + 0x1E8); i++) {
      long at = ZERO_PAGE + 0x2D0 + 20L * i;
      map.add(new E820(memory.readLong(at), memory.readLong(at + 8), memory.readInt(at + 16)));
    }
    return map;
  }

  @Test
  void memoryMapHasThePcsHoles() {
    try (var memory = usedMemory(32 << 20)) {
      DirectBoot.load(linux(), BootOptions.of(""), memory);
      assertThat(e820(memory))
          .containsExactly(
              new E820(0, 0x9_FC00, 1),
              new E820(0x9_FC00, 0x400, 2),
              new E820(0xE_0000, 0x2_0000, 2),
              new E820(0x10_0000, (32 << 20) - 0x10_0000, 1));
    }
  }

  @Test
  void memoryMapGoesOnBeyondTheMmioHole() {
    try (var memory = new GuestMemory(5L << 30)) {
      DirectBoot.load(linux(), BootOptions.of(""), memory);
      assertThat(e820(memory))
          .endsWith(
              new E820(0x10_0000, 0xC000_0000L - 0x10_0000, 1),
              new E820(0x1_0000_0000L, 2L << 30, 1));
    }
  }

  @Test
  void reservedAreasAreTakenOutOfRam() {
    try (var memory = usedMemory(32 << 20)) {
      var tables = new MemoryMap.Area(0x1F0_0000, 0x1_0000, MemoryMap.Type.ACPI_RECLAIMABLE);
      var device = new MemoryMap.Area(0xFEC0_0000L, 0x1000, MemoryMap.Type.RESERVED);
      var options =
          new BootOptions("", MemorySegment.NULL, 0, new byte[0], List.of(device, tables));
      var loaded = DirectBoot.load(linux(), options, memory);
      assertThat(e820(memory))
          .endsWith(
              new E820(0x10_0000, 0x1E0_0000, 1),
              new E820(0x1F0_0000, 0x1_0000, 3),
              new E820(0x1F1_0000, 0xF_0000, 1),
              new E820(0xFEC0_0000L, 0x1000, 2));
      assertThat(loaded.memoryMap()).hasSize(7);
    }
  }

  @Test
  void kernelInReservedMemoryIsRefused() {
    try (var memory = usedMemory(32 << 20)) {
      var area = new MemoryMap.Area(TestKernel.BASE + 0x1000, 0x1000, MemoryMap.Type.RESERVED);
      var options = new BootOptions("", MemorySegment.NULL, 0, new byte[0], List.of(area));
      assertThatThrownBy(() -> DirectBoot.load(linux(), options, memory))
          .isInstanceOf(BootException.class)
          .hasMessageContaining("reserved");
    }
  }

  @Test
  void longModeStateMatchesTheTablesInMemory() {
    try (var memory = usedMemory(32 << 20)) {
      var state = DirectBoot.load(linux(), BootOptions.of(""), memory).bootProcessor();
      assertThat(state.rip()).isEqualTo(TestKernel.BASE);
      assertThat(state.rflags()).as("interrupts off").isEqualTo(2);
      assertThat(state.efer()).as("LME and LMA").isEqualTo(0x500);
      assertThat(state.cr0() & 0x8000_0001L).as("PG and PE").isEqualTo(0x8000_0001L);
      assertThat(state.cr4()).as("PAE alone, so 4-level paging").isEqualTo(0x20);
      assertThat(state.cs().selector()).as("__BOOT_CS").isEqualTo(0x10);
      for (var data : List.of(state.ds(), state.es(), state.ss())) {
        assertThat(data.selector()).as("__BOOT_DS").isEqualTo(0x18);
        assertThat(data).isEqualTo(descriptor(memory, state, 0x18));
      }
      assertThat(state.cs()).isEqualTo(descriptor(memory, state, 0x10));
      assertThat(state.cs().attributes() & 0x6000).as("L without D").isEqualTo(0x2000);
      assertThat(state.xsave()[0] & 0xFF | (state.xsave()[1] & 0xFF) << 8).isEqualTo(0x37F);
      assertThat(state.xsave()[24] & 0xFF | (state.xsave()[25] & 0xFF) << 8).isEqualTo(0x1F80);
      for (long address :
          new long[] {
            0, 0x7000, 0x1F_FFFF, 0x20_0000, TestKernel.BASE, 0xC000_0001L, (1L << 32) - 1
          }) {
        assertThat(walk(memory, state.cr3(), address)).isEqualTo(address);
      }
      assertThat(walk(memory, state.cr3(), 1L << 32)).as("not mapped").isEqualTo(-1);
      assertThat(state.general()[ProcessorState.RSP]).isEqualTo(0x9000);
    }
  }

  /// Reads a descriptor as a processor would (Intel SDM volume 3, "Segment Descriptors").
  private static Segment descriptor(GuestMemory memory, ProcessorState state, int selector) {
    assertThat(selector + 7).isLessThanOrEqualTo(state.gdtr().limit());
    long raw = memory.readLong(state.gdtr().base() + selector);
    long base = raw >>> 16 & 0xFF_FFFF | raw >>> 56 << 24;
    int attributes = (int) (raw >>> 40 & 0xF0FF);
    int limit = (int) (raw & 0xFFFF | raw >>> 32 & 0xF_0000);
    return new Segment(
        selector, base, (attributes & 0x8000) != 0 ? limit << 12 | 0xFFF : limit, attributes);
  }

  /// Translates an address as a processor would (Intel SDM volume 3, "4-Level Paging").
  private static long walk(GuestMemory memory, long cr3, long address) {
    long table = cr3 & 0x000F_FFFF_FFFF_F000L;
    for (int shift = 39; shift >= 12; shift -= 9) {
      long entry = memory.readLong(table + 8 * (address >>> shift & 511));
      if ((entry & 3) != 3) {
        return -1;
      }
      long next = entry & 0x000F_FFFF_FFFF_F000L;
      if (shift == 12 || shift < 39 && (entry & 0x80) != 0) {
        long mask = (1L << shift) - 1;
        return next & ~mask | address & mask;
      }
      table = next;
    }
    throw new AssertionError("page tables have no end");
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 4095, 4096, 100_000})
  void initrdLiesHighInRam(int size) {
    var disk = TestKernel.contents(size, 3);
    try (var memory = usedMemory(32 << 20)) {
      var options = BootOptions.of("").withInitrd(MemorySegment.ofArray(disk));
      var loaded = DirectBoot.load(linux(), options, memory);
      long at = loaded.initrdStart();
      assertThat(at % 4096).isZero();
      assertThat(at + size).isBetween((32L << 20) - 4095, 32L << 20);
      assertThat(memory.read(at, size)).isEqualTo(disk);
      assertThat(memory.readInt(ZERO_PAGE + 0x218)).isEqualTo((int) at);
      assertThat(memory.readInt(ZERO_PAGE + 0x21C)).isEqualTo(size);
      assertThat(memory.readInt(ZERO_PAGE + 0xC0)).isZero();
      assertThat(memory.readInt(ZERO_PAGE + 0xC4)).isZero();
    }
  }

  @Test
  void initrdStaysBelowTheHighestAddressTheKernelReads() {
    try (var memory = new GuestMemory(5L << 30)) {
      var options = BootOptions.of("").withInitrd(MemorySegment.ofArray(new byte[5000]));
      assertThat(DirectBoot.load(linux(), options, memory).initrdStart()).isEqualTo(0x7FFF_E000L);
    }
  }

  @Test
  void initrdGoesBeyond4GiBIfTheKernelCanReadItThere() {
    var file = TestKernel.patch(BZ_IMAGE, SetupHeader.INITRD_ADDRESS_MAX, 0x110_0000, 4);
    var disk = TestKernel.contents(5000, 4);
    var options = BootOptions.of("").withInitrd(MemorySegment.ofArray(disk));
    try (var memory = new GuestMemory(5L << 30)) {
      var loaded = DirectBoot.load(KernelImage.parse(file, 64 << 20), options, memory);
      long at = loaded.initrdStart();
      assertThat(at).isEqualTo((6L << 30) - 8192);
      assertThat(memory.read(at, disk.length)).isEqualTo(disk);
      assertThat(memory.readInt(ZERO_PAGE + 0x218)).isEqualTo((int) at);
      assertThat(memory.readInt(ZERO_PAGE + 0xC0)).isEqualTo(1);

      var without = TestKernel.patch(file, SetupHeader.XLOAD_FLAGS, 1, 2);
      assertThatThrownBy(
              () -> DirectBoot.load(KernelImage.parse(without, 64 << 20), options, memory))
          .isInstanceOf(BootException.class)
          .hasMessageContaining("initial RAM disk");
    }
  }

  @Test
  void initrdThatDoesNotFitIsRefusedWithWhatIsNeeded() {
    try (var memory = new GuestMemory(32 << 20)) {
      var options = BootOptions.of("").withInitrd(MemorySegment.ofArray(new byte[15 << 20]));
      assertThatThrownBy(() -> DirectBoot.load(linux(), options, memory))
          .isInstanceOf(BootException.class)
          .hasMessageContaining("15 MiB")
          .hasMessageContaining("34 MiB are needed")
          .hasMessageContaining("32 MiB");
    }
  }

  @Test
  void tooLittleMemoryIsRefusedWithWhatIsNeeded() {
    try (var memory = new GuestMemory(17 << 20)) {
      assertThatThrownBy(() -> DirectBoot.load(linux(), BootOptions.of(""), memory))
          .isInstanceOf(BootException.class)
          .hasMessageContaining("18 MiB")
          .hasMessageContaining("17 MiB");
    }
  }

  @Test
  void commandLineMayBeAsLongAsTheKernelSays() {
    try (var memory = new GuestMemory(32 << 20)) {
      var longest = "x".repeat(2047);
      DirectBoot.load(linux(), BootOptions.of(longest), memory);
      assertThat(text(memory, memory.readInt(ZERO_PAGE + 0x228))).isEqualTo(longest);
      DirectBoot.load(linux(), BootOptions.of("short"), memory);
      assertThat(text(memory, memory.readInt(ZERO_PAGE + 0x228))).isEqualTo("short");
      assertThatThrownBy(() -> DirectBoot.load(linux(), BootOptions.of(longest + "x"), memory))
          .isInstanceOf(BootException.class)
          .hasMessageContaining("2048 bytes")
          .hasMessageContaining("2047");
    }
  }

  @Test
  void zeroInTheCommandLineIsRefused() {
    assertThatThrownBy(() -> BootOptions.of("a\0b")).isInstanceOf(BootException.class);
  }

  @Test
  void kernelBelowOneMebibyteIsRefused() {
    var elf = TestKernel.patch(TestKernel.elf64(TestKernel.BASE, -1), 64 + 24, 0x8000, 8);
    try (var memory = new GuestMemory(32 << 20)) {
      assertThatThrownBy(
              () -> DirectBoot.load(KernelImage.parse(elf, 1 << 20), BootOptions.of(""), memory))
          .isInstanceOf(BootException.class)
          .hasMessageContaining("below 1 MiB");
    }
  }

  @Test
  void entryOutsideOfTheKernelIsRefused() {
    try (var memory = new GuestMemory(32 << 20)) {
      for (var elf :
          List.of(
              TestKernel.elf64(0xFFFF_FFFF_8100_0000L, -1),
              TestKernel.elf64(TestKernel.BASE, TestKernel.BASE - 1))) {
        assertThatThrownBy(
                () -> DirectBoot.load(KernelImage.parse(elf, 1 << 20), BootOptions.of(""), memory))
            .isInstanceOf(BootException.class)
            .hasMessageContaining("entry point");
      }
    }
  }

  @Test
  void elfKernelGetsAHeaderOfItsOwn() {
    var image = KernelImage.parse(TestKernel.elf64(TestKernel.BASE, -1), 1 << 20);
    try (var memory = usedMemory(32 << 20)) {
      DirectBoot.load(image, BootOptions.of("quiet"), memory);
      assertThat(memory.readInt(ZERO_PAGE + 0x202)).isEqualTo(0x5372_6448);
      assertThat(memory.readByte(ZERO_PAGE + 0x211)).isEqualTo((byte) 1);
      assertThat(text(memory, memory.readInt(ZERO_PAGE + 0x228))).isEqualTo("quiet");
    }
  }

  @Test
  void pvhKernelGetsItsStartInfo() {
    var disk = TestKernel.contents(3000, 5);
    var options =
        BootOptions.of("root=/dev/vda").withRsdp(0xE_0000).withInitrd(MemorySegment.ofArray(disk));
    try (var memory = usedMemory(32 << 20)) {
      var loaded = DirectBoot.load(pvh(), options, memory);
      var state = loaded.bootProcessor();
      assertThat(state.rip()).isEqualTo(TestKernel.BASE + 0x40);
      assertThat(state.cr0()).as("PE, and ET which is fixed").isEqualTo(0x11);
      assertThat(state.cr4()).isZero();
      assertThat(state.efer()).isZero();
      assertThat(state.rflags()).isEqualTo(2);
      assertThat(state.cs()).isEqualTo(descriptor(memory, state, 0x10));
      assertThat(state.cs().attributes()).as("32-bit code").isEqualTo(0xC09B);
      assertThat(state.ds()).isEqualTo(descriptor(memory, state, 0x18));
      assertThat(state.tr().limit()).isEqualTo(0x67);
      assertThat(state.tr().base()).isZero();

      long info = state.general()[ProcessorState.RBX];
      assertThat(memory.readInt(info)).isEqualTo(0x336E_C578);
      assertThat(memory.readInt(info + 4)).isEqualTo(1);
      assertThat(memory.readInt(info + 8)).as("flags").isZero();
      assertThat(memory.readInt(info + 12)).as("modules").isEqualTo(1);
      long module = memory.readLong(info + 16);
      assertThat(memory.readLong(module)).isEqualTo(loaded.initrdStart());
      assertThat(memory.readLong(module + 8)).isEqualTo(3000);
      assertThat(memory.readLong(module + 16)).isZero();
      assertThat(memory.read(loaded.initrdStart(), 3000)).isEqualTo(disk);
      assertThat(text(memory, memory.readLong(info + 24))).isEqualTo("root=/dev/vda");
      assertThat(memory.readLong(info + 32)).isEqualTo(0xE_0000);
      int entries = memory.readInt(info + 48);
      assertThat(entries).isEqualTo(loaded.memoryMap().size());
      for (int i = 0; i < entries; i++) {
        long at = memory.readLong(info + 40) + 24L * i;
        var area = loaded.memoryMap().get(i);
        assertThat(memory.readLong(at)).isEqualTo(area.address());
        assertThat(memory.readLong(at + 8)).isEqualTo(area.size());
        assertThat(memory.readInt(at + 16)).isEqualTo(area.type().number);
        assertThat(memory.readInt(at + 20)).isZero();
      }
    }
  }

  @Test
  void pvhKernelWithoutInitrdHasNoModule() {
    try (var memory = usedMemory(32 << 20)) {
      var state = DirectBoot.load(pvh(), BootOptions.of(""), memory).bootProcessor();
      long info = state.general()[ProcessorState.RBX];
      assertThat(memory.readInt(info + 12)).isZero();
      assertThat(memory.readLong(info + 16)).isZero();
    }
  }

  @Test
  void whatIsWrittenIsNotedAsDirty() {
    try (var memory = new GuestMemory(32 << 20);
        var clean = new GuestMemory(32 << 20)) {
      memory.setTracking(true);
      var options = BootOptions.of("x").withInitrd(MemorySegment.ofArray(new byte[] {1, 2, 3}));
      DirectBoot.load(linux(), options, memory);
      long[] dirty = memory.takeDirty();
      for (int page = 0; page < memory.size() / 4096; page++) {
        if ((dirty[page / 64] & 1L << page) == 0) {
          assertThat(memory.slice(4096L * page, 4096).mismatch(clean.slice(4096L * page, 4096)))
              .as("page 0x%x", page)
              .isEqualTo(-1);
        }
      }
    }
  }
}
