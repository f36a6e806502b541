package dev.partita.worker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.partita.hypervisor.PartitionException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RuntimeEntryTest {
  @TempDir Path temporary;

  @Test
  void aClaimedNameIsListedAndRemovedOnClose() throws Exception {
    var folder = temporary.resolve("run");
    try (var entry = RuntimeEntry.claim(folder, "one")) {
      var all = RuntimeEntry.list(folder);
      assertThat(all).hasSize(1);
      assertThat(all.getFirst().name()).isEqualTo("one");
      assertThat(all.getFirst().pid()).isEqualTo(ProcessHandle.current().pid());
      assertThat(all.getFirst().socket()).isEqualTo(entry.socket());
    }
    assertNothingLeft(folder);
  }

  @Test
  void theFolderIsTheUsersAlone() throws Exception {
    var folder = temporary.resolve("run");
    RuntimeEntry.claim(folder, "one").close();
    assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(folder)))
        .isEqualTo("rwx------");
  }

  @Test
  void aLivingPartitionsNameIsRefused() throws Exception {
    try (var _ = RuntimeEntry.claim(temporary, "one")) {
      assertThatThrownBy(() -> RuntimeEntry.claim(temporary, "one"))
          .isInstanceOf(PartitionException.class)
          .hasMessageContaining("\"one\" is running already");
    }
  }

  @Test
  void whatAKilledProcessLeftIsSwept() throws Exception {
    Files.writeString(temporary.resolve("dead.entry"), "999999999 5\n");
    Files.writeString(temporary.resolve("dead.sock"), "");
    assertThat(RuntimeEntry.list(temporary)).isEmpty();
    assertNothingLeft(temporary);
  }

  @Test
  void anotherProcessWithTheDeadOnesNumberDoesNotKeepItsEntry() throws Exception {
    Files.writeString(temporary.resolve("dead.entry"), ProcessHandle.current().pid() + " 1\n");
    assertThat(RuntimeEntry.list(temporary)).isEmpty();
    assertNothingLeft(temporary);
  }

  @Test
  void aDamagedEntryIsSwept() throws Exception {
    Files.writeString(temporary.resolve("odd.entry"), "\u00ff\u0000rubbish");
    assertThat(RuntimeEntry.list(temporary)).isEmpty();
    RuntimeEntry.claim(temporary, "odd").close();
    assertNothingLeft(temporary);
  }

  @Test
  void aDeadPartitionsNameCanBeTaken() throws Exception {
    Files.writeString(temporary.resolve("dead.entry"), "999999999 5\n");
    Files.writeString(temporary.resolve("dead.sock"), "");
    try (var entry = RuntimeEntry.claim(temporary, "dead")) {
      assertThat(entry.socket()).doesNotExist();
      assertThat(RuntimeEntry.list(temporary)).hasSize(1);
    }
  }

  @Test
  void namesThatAreNoFileNamesAreRefused() {
    for (var name : new String[] {"", "../x", "a/b", ".hidden", "-x", "a b", "é", "x".repeat(65)}) {
      assertThatThrownBy(() -> RuntimeEntry.claim(temporary, name))
          .as(name)
          .isInstanceOf(PartitionException.class);
    }
  }

  /// Of those who take a dead process's name at once one has it, and nobody removes what it makes.
  @Test
  void oneOfManyTakesADeadPartitionsName() throws Exception {
    for (int round = 0; round < 1000; round++) {
      Files.writeString(temporary.resolve("dead.entry"), "999999999 5\n");
      Files.writeString(temporary.resolve("dead.sock"), "");
      var owners = new ConcurrentLinkedQueue<RuntimeEntry>();
      try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
        for (int i = 0; i < 8; i++) {
          boolean taker = i % 2 == 0;
          threads.submit(
              () -> {
                if (!taker) {
                  return RuntimeEntry.list(temporary).size();
                }
                var entry = RuntimeEntry.claim(temporary, "dead");
                Files.writeString(entry.socket(), "mine");
                owners.add(entry);
                return 1;
              });
        }
      }
      assertThat(owners).hasSize(1);
      assertThat(owners.element().socket()).hasContent("mine");
      owners.element().close();
      assertNothingLeft(temporary);
    }
  }

  private static void assertNothingLeft(Path folder) throws Exception {
    try (var files = Files.list(folder)) {
      assertThat(files.map(file -> String.valueOf(file.getFileName()))).allMatch(".lock"::equals);
    }
  }
}
