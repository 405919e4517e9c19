"""What torch asks of every operator: schema, fake, autograd registration, torch.compile."""

import pytest
import torch

from videostr import ops

CHECKS = ("test_schema", "test_autograd_registration", "test_faketensor", "test_aot_dispatch_dynamic")
videostr = torch.ops.videostr


def leaf(*shape):
    return torch.randn(*shape, requires_grad=True)


def spans(*shape):
    return torch.rand(*shape, 2).sort(-1).values.requires_grad_()


def calls():
    """(operator, arguments) of every kind of call."""
    target = torch.tensor([0, 6, 3])
    row = torch.rand(3)
    head = (leaf(3, 4), leaf(7, 4), target)
    yield videostr.linear_logprob, (*head, leaf(7), row, 3.0, 0.5, False)
    yield videostr.linear_logprob, (*head, None, row, None, 1.0, True)
    for logits in (torch.rand(3, 7), torch.rand(0, 7)):
        arguments = (row, row, row, row, logits, *head, leaf(7), row, None, 1.0, [True, False, True])
        yield videostr.linear_logprob_backward, arguments
    planes = [torch.randint(0, 256, shape, dtype=torch.uint8) for shape in ((6, 8), (3, 4), (3, 4))]
    table, colour = torch.rand(3, 256), [9539, 13075, 16525, -6660, -3209, 128]
    layout = (colour, [1, 4, 4, 0, 0], 2, 1, 2, True, "auto")
    for resize, out, values in (
        ("u8", torch.zeros(4, 24), table),
        ("f32", torch.zeros(4, 24, dtype=torch.uint8), None),
    ):
        yield videostr.frames_to_patches_, (out, planes, values, "yuv420p", resize, *layout)
    yield videostr.normalise_patches, (torch.randint(0, 256, (4, 24), dtype=torch.uint8), table)
    group = torch.tensor([0, 1, 0])
    yield videostr.group_advantage, (torch.rand(3, 1), group, None, None, torch.rand(3), 2, "std", 1e-6, 0.0)
    bounds = torch.tensor([0, 2, 3])
    yield videostr.group_advantage, (torch.rand(3, 2), None, bounds, torch.rand(2), None, 2, "loo", 1e-6, 0.0)
    grid, mask = torch.rand(2, 3), torch.tensor([[True, False, True], [True, True, True]])
    options = (0.2, 0.2, None, [1.0, 1.1], [2.0, 3.0], [3.0, 2.0], 0.1, "k3", 10.0, True, 0.1, "token_mask", 0.0, 2.0)
    yield videostr.policy_loss, (leaf(2, 3), grid, row[:2], mask, row[:2], grid, leaf(2, 3), grid, "sapo", *options)
    plain = (0.2, 0.2, 3.0, [1.0, 1.1], [2.0, 3.0], [3.0, 2.0], 0.0, "k3", None, False, 0.0, None, 0.0, 2.0)
    yield videostr.policy_loss, (leaf(2, 3), grid, row[:2], mask, row[:2], None, None, None, "sequence", *plain)
    given = (leaf(7), row, 3.0, 0.5, row, row, row, row, row, [True, True, True])
    yield videostr.linear_policy_loss, (*head, *given, "clip", *options)
    given = (None, row, None, 1.0, None, row, row, None, None, [True, True, False])
    strided = [torch.randn(4, count).T.requires_grad_() for count in (3, 7)]  # results are contiguous all the same
    yield videostr.linear_policy_loss, (*strided, target, *given, "clip", *plain)
    yield videostr.linear_logprob, (*strided, target, None, row, None, 1.0, False)
    yield videostr.logprob_rows, (torch.rand(3, 7), target, torch.rand(7), row, 3.0, 0.5)
    yield videostr.logprob_rows_backward_, (torch.rand(3, 7), row, row, row, row, target, None, row, None, 1.0)
    yield (
        videostr.parse_interval,
        (torch.tensor(list(b"<time>[1, 2]</time>" * 2), dtype=torch.uint8), torch.tensor([0, 19, 38]), False),
    )
    graph = b'<graph>{"frames":[{"t":0,"objects":[["a",1,2,3]]}]}</graph>'
    arguments = (torch.tensor(list(graph * 2), dtype=torch.uint8), torch.tensor([0, len(graph), 2 * len(graph)]))
    yield videostr.parse_graph, arguments
    yield videostr.temporal_iou, (spans(5), spans(5), "giou")
    yield videostr.temporal_iou_pairwise, (spans(5), spans(4), "diou")
    yield videostr.temporal_iou, (spans(5), spans(5), "time_r1", torch.rand(5) + 1)
    yield videostr.temporal_iou_pairwise, (spans(5), spans(4), "time_r1", torch.rand(5) + 1)
    offsets, three = torch.tensor([0, 2, 5]), torch.tensor([0, 1, 1])
    pred, other = spans(5).detach(), spans(5).detach()
    for pairing in ("written", "ordered"):
        yield videostr.temporal_set_scores, (pred, offsets, other, offsets, pairing)
    yield videostr.temporal_nms, (pred, torch.rand(5), offsets, 0.5)
    for videos in ((None, None), (torch.arange(5) % 2, torch.arange(5) % 2)):
        yield videostr.temporal_average_precision, (pred, torch.rand(5), offsets, other, offsets, [0.5, 0.7], *videos)
    boxes = torch.rand(5, 4).sort(-1).values
    yield videostr.box_iou, (boxes, boxes.flip(0), "giou")
    yield videostr.box_iou_pairwise, (boxes, boxes[:1], "iou")
    yield videostr.box3d_iou, (torch.rand(5, 7), torch.rand(5, 7), "iou")
    yield videostr.box3d_iou_pairwise, (torch.rand(5, 7), torch.rand(3, 7), "bev")
    yield videostr.tube_iou, (boxes, torch.arange(5), offsets, boxes[:1], torch.zeros(1).long(), three, "union")
    yield videostr.assignment, (torch.rand(3, 2, 4), torch.tensor([2, 0, 1]), None, True)
    yield videostr.assignment_ragged, (torch.rand(5), offsets, offsets, torch.tensor([0, 1, 2]), 5, 2, False)
    for name, scale, box in (("turn", None, None), ("none", torch.rand(2, dtype=torch.float64), torch.rand(5, 4))):
        nodes = torch.tensor([0, 1, 1, 0, 2]), torch.rand(5, 3), torch.arange(5), box, offsets
        options = (scale, None, name, "optimal", True, False, "shape")
        yield videostr.relation_graph, (*nodes, *nodes, torch.tensor([0, 1, 2]), *options)


@pytest.mark.parametrize("index", range(len(list(calls()))))
def test_opcheck(index):
    operator, arguments = list(calls())[index]
    # the gradients that the operators hand themselves are not for users to differentiate again
    checks = CHECKS[:3] if operator is videostr.linear_logprob_backward else CHECKS
    torch.library.opcheck(operator.default, arguments, test_utils=checks)


def test_every_operator_is_checked_and_documented():
    defined = {
        name.split("::")[1].split(".")[0] for name in torch._C._dispatch_get_all_op_names() if "videostr::" in name
    }
    assert defined - {"build_info"} == {operator._qualified_op_name.split("::")[1] for operator, _ in calls()}
    for name in ops.__all__:
        assert getattr(ops, name).__doc__


def everything(hidden, weight, target, bias, reward, group, mask, pred, truth):
    logprob, entropy = ops.linear_logprob(hidden, weight, target, bias, 0.9, 4.0)
    adv = ops.group_advantage(reward, group, num_groups=2)
    logprob, entropy = logprob.view(4, -1), entropy.view(4, -1)
    fused, _ = ops.linear_policy_loss(
        hidden[: mask.numel()], weight, target, adv.advantage_N, torch.ones_like(mask), bias=bias, entropy_coef=0.1
    )
    loss, stats = ops.policy_loss(
        logprob,
        logprob.detach() - 0.1,
        adv.advantage_N,
        mask,
        logprob.detach() + 0.2,
        entropy,
        kl_coef=0.1,
        entropy_coef=0.1,
    )
    overlap = ops.temporal_iou(pred, truth, "giou").mean() + ops.temporal_iou_pairwise(pred, truth, "diou").mean()
    offsets = torch.tensor([0, 3])
    overlap = overlap + ops.temporal_iou(pred, truth, "time_r1", 2.0).mean()
    overlap = overlap + ops.temporal_set_scores(pred, offsets, truth, offsets, "ordered").matching_B.sum()
    overlap = overlap + ops.temporal_nms(pred, pred[:, 0], offsets, 0.5).sum()
    overlap = overlap + ops.temporal_average_precision(pred, pred[:, 0], offsets, truth, offsets).mean()
    box, box3d = torch.cat([pred, truth], -1), torch.cat([pred, truth, pred, truth[:, :1]], -1)
    overlap = overlap + ops.box_iou(box, box.flip(0)).sum() + ops.box_iou_pairwise(box, box, "giou").sum()
    overlap = overlap + ops.box3d_iou(box3d, box3d.flip(0)).sum() + ops.box3d_iou_pairwise(box3d, box3d).sum()
    frame = torch.arange(3)
    overlap = overlap + ops.tube_iou(box, frame, offsets, box, frame, offsets).sum()
    rgb = (logprob.detach()[:, :, None].expand(4, -1, 3) * -9).to(torch.uint8).contiguous()
    patches = ops.frames_to_patches([(rgb,)], 4, 4, patch_size=2)
    loss = loss + fused - overlap + matched(pred.detach(), truth.detach(), offsets)
    return loss, stats["kl"], adv.informative_B, patches


def matched(pred, truth, offsets):
    total = ops.assignment(pred[None]).cost.sum()
    total = (
        total
        + ops.assignment_ragged(pred.flatten(), offsets, offsets - offsets // 3, num_rows=3, num_columns=2).cost.sum()
    )
    nodes, frames = (torch.tensor([0, 1, 0]), pred, offsets), torch.tensor([0, 1])
    for boxes in ({}, {"pred_box_M4": torch.cat([pred, pred + 1], 1), "true_box_J4": torch.cat([truth, truth + 1], 1)}):
        total = total + ops.relation_graph(*nodes, nodes[0], truth, offsets, frames, scale=2.0, **boxes).graph_B.sum()
    return total


@pytest.mark.parametrize("dynamic", [False, True])
def test_compile_without_graph_breaks(dynamic):
    torch.manual_seed(0)
    arguments = [leaf(12, 4), leaf(9, 4), torch.arange(12) % 9, leaf(9), torch.rand(4), torch.tensor([0, 1, 1, 0])]
    arguments += [torch.rand(4, 3) < 0.8, spans(3), spans(3)]
    wanted = [x for x in arguments if x.requires_grad]
    eager = everything(*arguments)
    eager_grads = torch.autograd.grad(eager[0], wanted)
    compiled = torch.compile(everything, fullgraph=True, dynamic=dynamic, backend="aot_eager")(*arguments)
    for a, b in zip(compiled, eager, strict=True):
        torch.testing.assert_close(a, b)
    for a, b in zip(torch.autograd.grad(compiled[0], wanted), eager_grads, strict=True):
        torch.testing.assert_close(a, b)


def test_fake_tensors_run_nothing():
    with torch._subclasses.FakeTensorMode():
        logprob, entropy = ops.linear_logprob(
            torch.empty(8, 4, dtype=torch.bfloat16),
            torch.empty(9, 4, dtype=torch.bfloat16),
            torch.empty(8, dtype=torch.long),
        )
    assert logprob.shape == entropy.shape == (8,) and logprob.dtype == torch.float32


def test_meta_tensors_run_nothing():
    def empty(*shape, dtype=torch.float32):
        return torch.empty(*shape, dtype=dtype, device="meta")

    logprob, _ = ops.linear_logprob(empty(8, 4), empty(9, 4), empty(8, dtype=torch.long))
    loss, _ = ops.policy_loss(empty(8, 3), empty(8, 3), empty(8), empty(8, 3))
    for loss_type in ("bnpo", "gspo"):
        step = (empty(24, 4), empty(9, 4), empty(24, dtype=torch.long), empty(8), empty(8, 3))
        assert ops.linear_policy_loss(*step, loss_type=loss_type)[0].shape == ()
    adv = ops.group_advantage(empty(8), empty(8, dtype=torch.long), num_groups=2)
    assert logprob.shape == (8,) and loss.shape == () and adv.mean_B.shape == (2,)
    assert ops.temporal_iou_pairwise(empty(3, 2), empty(4, 2)).shape == (3, 4)
    assert ops.assignment(empty(3, 2, 4)).row.shape == (3, 4)
