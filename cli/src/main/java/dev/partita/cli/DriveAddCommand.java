package dev.partita.cli;

import dev.partita.worker.DriveSettings;
import java.io.IOException;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/// Adds drives.
@Command(
    name = "add",
    description = "Adds disks and DVD drives, and tells the LUN of each.",
    mixinStandardHelpOptions = true)
final class DriveAddCommand implements Callable<Integer> {
  @Option(
      names = "--disk",
      paramLabel = "FILE[,OPTION...]",
      converter = DriveOption.Disk.class,
      description = {
        "A disk: VHDX, VHD or raw. Repeatable. Options: readonly; format=raw|vhd|vhdx where the"
            + " name does not tell; lun=NUMBER."
      })
  private List<DriveSettings> disks = List.of();

  @Option(
      names = "--dvd",
      paramLabel = "FILE[,lun=NUMBER]",
      converter = DriveOption.Dvd.class,
      description = "A DVD drive with this ISO image, or \"none\". Repeatable.")
  private List<DriveSettings> dvds = List.of();

  @Mixin private GuestCommand.Partition partition = new GuestCommand.Partition();

  @Spec private CommandSpec spec = CommandSpec.create();

  @Override
  public Integer call() throws IOException {
    if (disks.isEmpty() && dvds.isEmpty()) {
      throw new ParameterException(spec.commandLine(), "Say what: --disk or --dvd");
    }
    for (var each : disks) {
      add(each);
    }
    for (var each : dvds) {
      add(each);
    }
    return ExitCode.SUCCESS;
  }

  private void add(DriveSettings drive) throws IOException {
    var file = drive.file();
    var format = drive.format();
    var lun =
        partition
            .client()
            .ask(
                "drive-add",
                drive.kind().label(),
                file == null ? "" : file.toAbsolutePath().toString(),
                format == null ? "-" : format.label(),
                drive.readOnly() ? "ro" : "rw",
                DriveCommand.lun(drive.lun()))
            .getFirst();
    System.out.println(
        "%s %s at LUN %s".formatted(drive.kind().label(), file == null ? "(empty)" : file, lun));
  }
}
