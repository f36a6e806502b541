package dev.partita.chipset.acpi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.partita.chipset.device.SerialPort;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AcpiTablesTest {
  private static final AcpiConfiguration TWO_PROCESSORS =
      new AcpiConfiguration(
          2,
          List.of(SerialPort.COM1, SerialPort.COM2),
          List.of(MmioWindow.LOW, new MmioWindow(0xF_E000_0000L, 0x2000_0000L)),
          false);

  private static final AcpiConfiguration WITH_VMBUS =
      new AcpiConfiguration(1, List.of(SerialPort.COM1), List.of(MmioWindow.LOW), true);

  private final AcpiTables tables = AcpiTables.build(TWO_PROCESSORS, AcpiTables.AREA);

  /// The tables by signature, found as an operating system finds them: from the root pointer.
  private static Map<String, byte[]> walk(AcpiTables tables) {
    var memory = ByteBuffer.wrap(tables.bytes()).order(ByteOrder.LITTLE_ENDIAN);
    int rsdp = (int) (tables.rsdp() - tables.address());
    assertThat(text(memory, rsdp, 8)).isEqualTo("RSD PTR ");
    assertThat(sum(tables.bytes(), rsdp, 20)).isZero();
    assertThat(sum(tables.bytes(), rsdp, 36)).isZero();
    var found = new LinkedHashMap<String, byte[]>();
    var xsdt = table(memory, memory.getLong(rsdp + 24) - tables.address());
    assertThat(text(ByteBuffer.wrap(xsdt), 0, 4)).isEqualTo("XSDT");
    var pointers = ByteBuffer.wrap(xsdt).order(ByteOrder.LITTLE_ENDIAN);
    for (int at = 36; at < xsdt.length; at += 8) {
      var table = table(memory, pointers.getLong(at) - tables.address());
      found.put(text(ByteBuffer.wrap(table), 0, 4), table);
    }
    var fadt = little(get(found, "FACP"));
    assertThat(fadt.getInt(40)).isEqualTo((int) fadt.getLong(140));
    found.put("DSDT", table(memory, fadt.getLong(140) - tables.address()));
    int facs = (int) (fadt.getInt(36) - tables.address());
    assertThat(text(memory, facs, 4)).isEqualTo("FACS");
    assertThat(facs % 64).isZero();
    return found;
  }

  private static byte[] table(ByteBuffer memory, long at) {
    var table = new byte[memory.getInt((int) at + 4)];
    memory.get((int) at, table);
    assertThat(sum(table, 0, table.length)).isZero();
    return table;
  }

  private static byte[] get(Map<String, byte[]> tables, String signature) {
    return Objects.requireNonNull(tables.get(signature), signature);
  }

  private static ByteBuffer little(byte[] table) {
    return ByteBuffer.wrap(table).order(ByteOrder.LITTLE_ENDIAN);
  }

  private static String text(ByteBuffer memory, int at, int length) {
    var bytes = new byte[length];
    memory.get(at, bytes);
    return new String(bytes, StandardCharsets.US_ASCII);
  }

  private static int sum(byte[] bytes, int from, int length) {
    int sum = 0;
    for (int i = 0; i < length; i++) {
      sum += bytes[from + i];
    }
    return sum & 0xFF;
  }

  @Test
  void everyTableIsReachedFromTheRootPointerAndSumsToZero() {
    assertThat(tables.rsdp()).isEqualTo(0xE_0000L);
    assertThat(walk(tables)).containsOnlyKeys("FACP", "APIC", "DSDT");
  }

  @Test
  void theTablesOfTheLargestPartitionFitIntoTheirArea() {
    var largest =
        new AcpiConfiguration(254, List.of(SerialPort.values()), List.of(MmioWindow.LOW), true);
    var built = AcpiTables.build(largest, AcpiTables.AREA);
    assertThat(built.bytes().length).isLessThanOrEqualTo(AcpiTables.AREA_SIZE);
    walk(built);
  }

  @Test
  void madtListsProcessorsAndWiring() {
    var madt = get(walk(tables), "APIC");
    var types = new ArrayList<Integer>();
    for (int at = 44; at < madt.length; at += madt[at + 1]) {
      types.add((int) madt[at]);
    }
    assertThat(types).containsExactly(0, 0, 1, 2, 2, 4);
    // UID 1, APIC id 1, enabled.
    assertThat(Arrays.copyOfRange(madt, 52, 60)).containsExactly(0, 8, 1, 1, 1, 0, 0, 0);
  }

  @Test
  void theDisassemblerFindsNothingWrong(@TempDir Path directory) throws Exception {
    assumeTrue(hasIasl(), "iasl is not installed");
    for (var configuration : List.of(TWO_PROCESSORS, WITH_VMBUS)) {
      for (var table : walk(AcpiTables.build(configuration, AcpiTables.AREA)).entrySet()) {
        var file = directory.resolve(table.getKey() + ".aml");
        Files.write(file, table.getValue());
        var output = iasl(directory, "-d", file.toString());
        assertThat(output).containsAnyOf("Disassembly completed", "decoded");
        assertThat(output).doesNotContainIgnoringCase("warning").doesNotContain("rror");
        var source = Files.readString(directory.resolve(table.getKey() + ".dsl"));
        assertThat(source).doesNotContainIgnoringCase("warning").doesNotContain("Invalid");
      }
    }
  }

  /// What the disassembler made of the DSDT compiles again into the same bytes.
  @Test
  void theCompilerMakesTheSameDefinitionBlock(@TempDir Path directory) throws Exception {
    assumeTrue(hasIasl(), "iasl is not installed");
    var dsdt = get(walk(tables), "DSDT");
    Files.write(directory.resolve("DSDT.aml"), dsdt);
    iasl(directory, "-d", "DSDT.aml");
    var output = iasl(directory, "-oa", "-p", "again", "DSDT.dsl");
    assertThat(output).contains("0 Errors, 0 Warnings");
    var again = Files.readAllBytes(directory.resolve("again.aml"));
    // The header differs: the compiler names itself. End tags get a checksum.
    assertThat(withoutEndTagChecksums(again)).isEqualTo(withoutEndTagChecksums(dsdt));
  }

  private static List<Byte> withoutEndTagChecksums(byte[] table) {
    var body = new ArrayList<Byte>();
    for (int i = 36; i < table.length; i++) {
      body.add(i > 0 && table[i - 1] == 0x79 ? 0 : table[i]);
    }
    return body;
  }

  private static boolean hasIasl() {
    for (var directory : System.getenv("PATH").split(":")) {
      if (Files.isExecutable(Path.of(directory, "iasl"))) {
        return true;
      }
    }
    return false;
  }

  private static String iasl(Path directory, String... arguments)
      throws IOException, InterruptedException {
    var command = new ArrayList<>(List.of("iasl"));
    command.addAll(List.of(arguments));
    var log = directory.resolve("iasl.log");
    var process =
        new ProcessBuilder(command)
            .directory(directory.toFile())
            .redirectErrorStream(true)
            .redirectOutput(log.toFile())
            .start();
    assertThat(process.waitFor(120, TimeUnit.SECONDS)).isTrue();
    return Files.readString(log, StandardCharsets.ISO_8859_1);
  }
}
